import com.android.apksig.ApkSigner;
import com.android.apksig.ApkVerifier;
import java.io.File;
import java.io.FileInputStream;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.util.List;

/**
 * java -cp apksig.jar Sign.java KEYSTORE UNSIGNED SIGNED MIN_SDK: signs an APK (schemes 2 and 3) and verifies the result.
 * The keystore's password is in the environment, SEEDTUNE_KEYSTORE_PASSWORD, where no process list shows it.
 */
public class Sign {
    public static void main(String[] arguments) throws Exception {
        char[] password = System.getenv("SEEDTUNE_KEYSTORE_PASSWORD").toCharArray();
        KeyStore keys = KeyStore.getInstance("PKCS12");
        try (FileInputStream in = new FileInputStream(arguments[0])) {
            keys.load(in, password);
        }
        String alias = keys.aliases().nextElement();
        PrivateKey key = (PrivateKey) keys.getKey(alias, password);
        X509Certificate certificate = (X509Certificate) keys.getCertificate(alias);
        File signed = new File(arguments[2]);
        new ApkSigner.Builder(List.of(new ApkSigner.SignerConfig.Builder(alias, key, List.of(certificate)).build()))
                .setInputApk(new File(arguments[1]))
                .setOutputApk(signed)
                .setMinSdkVersion(Integer.parseInt(arguments[3]))
                .setV1SigningEnabled(false)
                .setV2SigningEnabled(true)
                .setV3SigningEnabled(true)
                .setV4SigningEnabled(false)
                .setAlignmentPreserved(true)
                .build()
                .sign();
        ApkVerifier.Result result = new ApkVerifier.Builder(signed).build().verify();
        result.getErrors().forEach(error -> System.err.println("error: " + error));
        if (!result.isVerified() || !result.isVerifiedUsingV2Scheme() || !result.isVerifiedUsingV3Scheme()) {
            System.err.println("the signed APK does not verify");
            System.exit(1);
        }
    }
}
