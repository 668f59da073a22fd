import java.io.File;
import java.io.FileInputStream;
import java.util.Enumeration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.codehaus.mojo.animal_sniffer.SignatureChecker;
import org.codehaus.mojo.animal_sniffer.logging.PrintWriterLogger;

/**
 * java -cp animal-sniffer.jar:asm.jar Sniff.java SIGNATURES JAR...: calls of java.* in the jars, against a table of what there is.
 * Calls among the jars, and of android.*, are others' matter: the compiler's, and api.py's.
 */
public class Sniff {
    public static void main(String[] arguments) throws Exception {
        Set<String> others = new HashSet<>(Set.of("android.*", "dalvik.*"));
        for (int index = 1; index < arguments.length; index++) {
            try (ZipFile jar = new ZipFile(arguments[index])) {
                for (Enumeration<? extends ZipEntry> entries = jar.entries(); entries.hasMoreElements(); ) {
                    String name = entries.nextElement().getName();
                    int end = name.lastIndexOf('/');
                    if (name.endsWith(".class") && end > 0) others.add(name.substring(0, end).replace('/', '.') + ".*");
                }
            }
        }
        boolean broken = false;
        for (int index = 1; index < arguments.length; index++) {
            Set<String> ignored = new HashSet<>(others);
            File jar = new File(arguments[index]);
            // It looks whether ClassValue is there, and goes another way where it is not.
            if (jar.getName().startsWith("kotlinx-serialization-core")) ignored.add("java.lang.ClassValue*");
            try (FileInputStream signatures = new FileInputStream(arguments[0])) {
                SignatureChecker checker = new SignatureChecker(signatures, ignored, new PrintWriterLogger(System.err));
                checker.setSourcePath(List.of());
                checker.process(jar);
                broken |= checker.isSignatureBroken();
            }
        }
        System.exit(broken ? 1 : 0);
    }
}
