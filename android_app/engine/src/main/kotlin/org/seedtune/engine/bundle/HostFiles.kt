package org.seedtune.engine.bundle

import java.io.File
import java.nio.file.Files
import java.nio.file.LinkOption
import org.seedtune.engine.SeedTuneException

/** Files that only computing contexts and generating text read: a phone that is given the contexts can tune without. */
internal object HostFiles {
    const val CONTEXT = "context"
    private val GRAPH_AND_WEIGHTS = setOf("context.onnx", Bundle.CONTEXT_WEIGHTS)
    private val NAMES = Regex("context\\.(onnx|safetensors|stage[0-9]+\\.onnx)|decode\\.onnx")

    /**
     * The host files of [manifest] that are not in [folder]: none, or all of them.
     *
     * @throws SeedTuneException some are here and some are not, or the manifest names others than those.
     */
    fun absent(manifest: Manifest, folder: File): Set<String> {
        val named = manifest.hostFiles.toSet()
        val expected = manifest.files.keys.filterTo(HashSet()) { NAMES.matches(it) }
        if (named.isNotEmpty() && (named != expected || named.size != manifest.hostFiles.size || !named.containsAll(GRAPH_AND_WEIGHTS))) {
            throw SeedTuneException(
                "the manifest's host files are not those that only the computing of contexts reads",
                File(folder, Manifest.FILE).path,
                manifest.hostFiles.sorted(),
                expected.sorted().joinToString(),
                "export the bundle again",
            )
        }
        // A link that leads nowhere is there, and refused as such.
        val absent = named.filterNotTo(HashSet()) { Files.exists(File(folder, it).toPath(), LinkOption.NOFOLLOW_LINKS) }
        if (absent.isNotEmpty() && absent != named) {
            throw SeedTuneException(
                "some of the bundle's host files are missing, and some are here",
                File(folder, absent.min()).path,
                "missing: ${absent.sorted().joinToString()}",
                "all of them or none: ${named.sorted().joinToString()}",
                "copy the missing ones too, or delete the others, where contexts are made at the desk",
            )
        }
        return absent
    }
}
