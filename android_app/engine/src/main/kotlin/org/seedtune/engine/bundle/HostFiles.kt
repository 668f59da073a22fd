package org.seedtune.engine.bundle

import java.io.File
import java.nio.file.Files
import java.nio.file.LinkOption
import org.seedtune.engine.SeedTuneException

/** Files that only the computing of contexts reads: a desk needs them, a phone that is given the contexts does not. */
internal object HostFiles {
    const val CONTEXT = "context"
    private val GRAPH_AND_WEIGHTS = setOf("context.onnx", Bundle.CONTEXT_WEIGHTS)
    private val NAMES = Regex("context\\.(onnx|safetensors|stage[0-9]+\\.onnx)")

    /**
     * The host files of [manifest] that are not in [folder]: none, or all of them.
     *
     * @throws SeedTuneException some are here and some are not, or the manifest names others than can be host files.
     */
    fun absent(manifest: Manifest, folder: File): Set<String> {
        val named = manifest.hostFiles.toSet()
        val possible = named.all { NAMES.matches(it) && it in manifest.files } && (named.isEmpty() || named.containsAll(GRAPH_AND_WEIGHTS))
        if (!possible) {
            throw SeedTuneException(
                "the manifest leaves files to the desk that every device needs",
                File(folder, Manifest.FILE).path,
                named.sorted(),
                "host_files that only the computing of contexts reads",
                "export the bundle again",
            )
        }
        // A link that leads nowhere is there, and refused as such.
        val absent = named.filterNotTo(HashSet()) { Files.exists(File(folder, it).toPath(), LinkOption.NOFOLLOW_LINKS) }
        if (absent.isNotEmpty() && absent != named) {
            throw SeedTuneException(
                "some of the bundle's host files are missing, and some are here",
                folder.path,
                "missing: ${absent.sorted().joinToString()}",
                "all of them or none: ${named.sorted().joinToString()}",
                "copy the missing ones too, or delete the others, where contexts are made at the desk",
            )
        }
        return absent
    }
}
