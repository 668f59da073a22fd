package org.seedtune.engine.archive

import java.io.File
import java.io.IOException
import java.io.InputStream
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.Manifest
import org.seedtune.engine.json.reading
import org.seedtune.engine.json.utf8

/** A file that somebody gives: its path among the others, its size (0 if nobody knows), and its bytes. */
class Given(val path: String, val sizeBytes: Long, val open: () -> InputStream)

/**
 * A bundle, or rows, or both, out of files that came from anywhere: a zip file, or a folder. All that can be refused is refused before
 * anything is written, by the manifest, which lists every file of a bundle with its size.
 *
 * @property bundle the name of the bundle's folder; null if there is none.
 * @property files of the bundle, by their names in it.
 * @property rows files of rows (JSON lines), by their names.
 */
class Parcel private constructor(val bundle: String?, val files: Map<String, Given>, val rows: Map<String, Given>) {
    /** What all of it takes on the storage. */
    val sizeBytes: Long get() = (files.values + rows.values).sumOf { it.sizeBytes }

    /**
     * Writes a file of this parcel to [target].
     *
     * @param advance told the bytes of each piece; ends the writing by throwing.
     * @throws IOException the storage is full, or what is read fails.
     * @throws SeedTuneException it has more or fewer bytes than its directory said.
     */
    fun write(given: Given, target: File, advance: (Int) -> Unit) {
        given.open().use { input ->
            target.outputStream().use { output ->
                val chunk = ByteArray(CHUNK_BYTES)
                var left = given.sizeBytes
                while (true) {
                    val count = input.read(chunk)
                    if (count < 0) break
                    left -= count
                    // Whatever a directory says, no more than that is written.
                    if (given.sizeBytes > 0 && left < 0) throw differs(given)
                    output.write(chunk, 0, count)
                    advance(count)
                }
                if (given.sizeBytes > 0 && left != 0L) throw differs(given)
                output.fd.sync()
            }
        }
    }

    private fun differs(given: Given) = SeedTuneException(
        "a file has another size than was said", given.path, rule = "${given.sizeBytes} bytes", remedy = "pack or copy it again",
    )

    companion object {
        private const val CHUNK_BYTES = 1 shl 20
        private const val MOST_MANIFEST_BYTES = 16 shl 20
        private val ROWS = setOf("jsonl", "ndjson")

        /**
         * What [zip], which is named [name], brings.
         *
         * @throws SeedTuneException a path leads elsewhere, a link, a file twice, no bundle and no rows, a bundle that is not whole.
         */
        fun of(zip: ZipDirectory, name: String): Parcel {
            val files = zip.entries.filterNot { it.isFolder }
            for (entry in zip.entries) {
                if (entry.isLink) throw refused("'${entry.path}' is a link", name, "plain files")
                if (!isInside(entry.path)) throw refused("'${entry.path}' leads out of the folder it is unpacked to", name, "paths that stay inside")
            }
            return of(files.map { entry -> Given(entry.path, entry.sizeBytes) { CheckedStream(zip.open(entry), entry, name) } }, name)
        }

        /** What the files [given] of the zip file or folder [name] bring; throws as above. */
        fun of(given: List<Given>, name: String): Parcel {
            val twice = given.groupBy { it.path }.values.firstOrNull { it.size > 1 }
            if (twice != null) throw refused("'${twice[0].path}' is in it twice", name, "each file once")
            val manifests = given.filter { it.path.substringAfterLast('/') == Manifest.FILE }
            if (manifests.size > 1) throw refused("it holds ${manifests.size} bundles", name, "one at a time")
            val rows = given.filter { it.path.substringAfterLast('.').lowercase() in ROWS }.associateBy { it.path.substringAfterLast('/') }
            if (manifests.isEmpty()) {
                if (rows.isEmpty()) throw refused("there is neither a bundle (${Manifest.FILE}) nor rows (.jsonl) in it", name, "what seedtune export wrote, or JSON lines")
                return Parcel(null, emptyMap(), rows)
            }
            val folder = manifests[0].path.removeSuffix(Manifest.FILE)
            val files = given.filter { it.path.startsWith(folder) && '/' !in it.path.removePrefix(folder) }.associateBy { it.path.removePrefix(folder) }
            val bundle = folder.trimEnd('/').substringAfterLast('/').ifEmpty { name.removeSuffix(".zip").removeSuffix(".ZIP") }
            val wanted = checked(manifests[0], files, name)
            return Parcel(bundle, wanted, rows.filterValues { it.path.removePrefix(folder) !in wanted })
        }

        /** Those of [files] that the manifest [given] lists, and itself, each with its size as listed. */
        private fun checked(given: Given, files: Map<String, Given>, name: String): Map<String, Given> {
            if (given.sizeBytes > MOST_MANIFEST_BYTES) throw refused("its ${Manifest.FILE} has ${given.sizeBytes} bytes", name, "at most $MOST_MANIFEST_BYTES")
            val place = "$name: ${given.path}"
            val raw = given.open().use { readAtMost(it, name) }
            val manifest = Manifest.parse(reading(place, "the manifest is no text", "export the bundle again") { utf8(raw) }, place)
            val listed = manifest.files + (Manifest.FILE to null)
            for ((file, entry) in listed) {
                if (entry == null) continue
                if (entry.sizeBytes <= 0) throw refused("${Manifest.FILE} lists $file with ${entry.sizeBytes} bytes", name, "files with something in them")
                val found = files[file]
                if (found == null) {
                    if (file in manifest.hostFiles && manifest.hostFiles.none { it in files }) continue
                    throw refused("a file of the bundle is missing: $file", name, "every file that ${Manifest.FILE} lists")
                }
                if (found.sizeBytes != 0L && found.sizeBytes != entry.sizeBytes) {
                    throw refused("$file has ${found.sizeBytes} bytes, not ${entry.sizeBytes}", name, "the sizes that ${Manifest.FILE} lists")
                }
            }
            return listed.keys.filter { it in files }.associateWith { file ->
                val found = files.getValue(file)
                Given(found.path, manifest.files[file]?.sizeBytes ?: raw.size.toLong(), found.open)
            }
        }

        private fun readAtMost(input: InputStream, name: String): ByteArray {
            val found = java.io.ByteArrayOutputStream()
            val chunk = ByteArray(1 shl 16)
            while (true) {
                val count = input.read(chunk)
                if (count < 0) return found.toByteArray()
                found.write(chunk, 0, count)
                if (found.size() > MOST_MANIFEST_BYTES) throw refused("its ${Manifest.FILE} is too long", name, "at most $MOST_MANIFEST_BYTES bytes")
            }
        }

        /** Whether [path] stays in the folder that it is unpacked to, on every system. */
        private fun isInside(path: String): Boolean {
            val parts = path.trimEnd('/').split('/')
            return path.isNotEmpty() && '\\' !in path && ':' !in path && '\u0000' !in path && parts.none { it.isEmpty() || it == "." || it == ".." }
        }

        private fun refused(what: String, name: String, rule: String) =
            SeedTuneException("this cannot be used: $what", name, rule = rule, remedy = "pack the folder that seedtune export wrote anew, or choose another file")
    }
}
