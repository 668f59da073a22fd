package org.seedtune.engine

import java.io.ByteArrayOutputStream
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.FileChannel
import java.nio.file.StandardOpenOption
import java.util.zip.CRC32
import java.util.zip.ZipEntry
import java.util.zip.ZipFile
import java.util.zip.ZipOutputStream
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.archive.Parcel
import org.seedtune.engine.archive.ZipDirectory
import org.seedtune.engine.archive.ZipFolder
import org.seedtune.engine.bundle.Bundle

/** Zip files as people make them, and as nobody should. */
class ParcelTest {
    @get:Rule
    val temporary = TemporaryFolder()
    private val bundle = File(Golden.read("runs/${Golden.read("runs.json").items[0].jsonPrimitive.content}/info.json").field("bundle").text)
    private val contents: Map<String, ByteArray> = bundle.listFiles()!!.filter { it.isFile }.associate { it.name to it.readBytes() }

    private fun zip(files: Map<String, ByteArray>, stored: Boolean = false): ByteArray {
        val raw = ByteArrayOutputStream()
        ZipOutputStream(raw).use { out ->
            for ((name, bytes) in files) {
                val entry = ZipEntry(name)
                if (stored) {
                    entry.method = ZipEntry.STORED
                    entry.size = bytes.size.toLong()
                    entry.crc = CRC32().also { it.update(bytes) }.value
                }
                out.putNextEntry(entry)
                out.write(bytes)
            }
        }
        return raw.toByteArray()
    }

    private fun <T> opened(raw: ByteArray, use: (Parcel) -> T): T {
        val file = temporary.newFile().also { it.writeBytes(raw) }
        return FileChannel.open(file.toPath(), StandardOpenOption.READ).use { use(Parcel.of(ZipDirectory(it, "mine.zip"), "mine.zip")) }
    }

    private fun unpacked(raw: ByteArray): Map<String, ByteArray> = opened(raw) { parcel ->
        val folder = temporary.newFolder()
        for ((name, given) in parcel.files) parcel.write(given, File(folder, name)) {}
        folder.listFiles()!!.associate { it.name to it.readBytes() }
    }

    private fun refusal(raw: ByteArray): String = refused { unpacked(raw) }.message!!

    private fun assertWhole(found: Map<String, ByteArray>) {
        assertEquals(contents.keys, found.keys)
        for ((name, bytes) in contents) assertArrayEquals(name, bytes, found[name])
    }

    /** The place of the directory's entry of [name] in [raw]. */
    private fun entryOf(raw: ByteArray, name: String): Int {
        val wanted = byteArrayOf(0x50, 0x4b, 1, 2)
        return (0 until raw.size - 46).last { at ->
            raw.copyOfRange(at, at + 4).contentEquals(wanted) && String(raw, at + 46, minOf(name.length, raw.size - at - 46)) == name
        }
    }

    private fun ByteArray.patched(at: Int, vararg values: Int) = copyOf().also { values.forEachIndexed { place, value -> it[at + place] = value.toByte() } }

    private fun little(value: Long, size: Int) = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array().copyOf(size)

    @Test
    fun `a bundle is unpacked whole, with or without its folder, deflated or stored, and its name is the folder's`() {
        for (stored in listOf(false, true)) {
            for (folder in listOf("", "sentiment/", "deep/sentiment/")) {
                val raw = zip(contents.mapKeys { folder + it.key }, stored)
                assertWhole(unpacked(raw))
                assertEquals(if (folder.isEmpty()) "mine" else "sentiment", opened(raw) { it.bundle })
            }
        }
    }

    @Test
    fun `the JVM's own reader finds the same entries`() {
        val file = temporary.newFile().also { it.writeBytes(zip(contents)) }
        val expected = ZipFile(file).use { zip -> zip.entries().asSequence().map { Triple(it.name, it.size, it.compressedSize) }.toList() }
        val found = FileChannel.open(file.toPath()).use { channel -> ZipDirectory(channel, "x").entries.map { Triple(it.path, it.sizeBytes, it.packedBytes) } }
        assertEquals(expected, found)
    }

    @Test
    fun `rows beside the bundle, or alone, are found, and other files are left`() {
        val rows = "{}\n".toByteArray()
        opened(zip(contents.mapKeys { "b/" + it.key } + mapOf("train.jsonl" to rows, "read me.txt" to rows, "__MACOSX/x" to rows))) {
            assertEquals("b", it.bundle)
            assertEquals(setOf("train.jsonl"), it.rows.keys)
        }
        opened(zip(mapOf("a/train.jsonl" to rows, "a/eval.NDJSON" to rows))) {
            assertNull(it.bundle)
            assertEquals(setOf("train.jsonl", "eval.NDJSON"), it.rows.keys)
        }
        assertTrue(refusal(zip(mapOf("picture.png" to rows))).contains("neither a bundle"))
    }

    @Test
    fun `a path that leads elsewhere, and a link, are refused before anything is written`() {
        for (name in listOf("../train.jsonl", "a/../../train.jsonl", "/etc/train.jsonl", "a\\..\\train.jsonl", "C:/train.jsonl", "a//train.jsonl", "./train.jsonl")) {
            assertTrue(name, refusal(zip(contents + (name to ByteArray(1)))).contains("leads out"))
        }
        val raw = zip(contents)
        val entry = entryOf(raw, Bundle.WEIGHTS)
        assertTrue(refusal(raw.patched(entry + 5, 3).patched(entry + 40, 0xFF, 0xA1)).contains("is a link"))
    }

    @Test
    fun `gigabytes of zeros are refused by what the manifest says, and where the directory lies nothing more is written than it says`() {
        val zeros = zip(contents + (Bundle.WEIGHTS to ByteArray(50_000_000)))
        assertTrue(zeros.size < 2_000_000)
        assertTrue(refusal(zeros).contains("50000000 bytes, not"))
        // The directory says the right size, and the data go on and on.
        val size = contents.getValue(Bundle.WEIGHTS).size.toLong()
        val lying = zeros.copyOf().also { little(size, 4).copyInto(it, entryOf(it, Bundle.WEIGHTS) + 24) }
        val folder = temporary.newFolder()
        val error = refused {
            opened(lying) { parcel -> parcel.write(parcel.files.getValue(Bundle.WEIGHTS), File(folder, "weights")) {} }
        }
        assertTrue(error.message!!, error.message!!.contains("damaged, or not what its directory says"))
        assertTrue(File(folder, "weights").length() <= size + (1 shl 20))
        assertTrue(refusal(zip(contents + ("manifest.json" to ByteArray(20_000_000)))).contains("20000000 bytes"))
    }

    @Test
    fun `a file that is missing, twice, or of another size is named`() {
        for (name in listOf(Bundle.WEIGHTS, "tokenizer.json", "probe.onnx")) {
            assertTrue(refusal(zip(contents - name)).contains("missing: $name"))
            assertTrue(refusal(zip(contents + (name to ByteArray(7)))).contains("$name has 7 bytes"))
        }
        assertTrue(refusal(zip(contents.mapKeys { "a/" + it.key } + contents.mapKeys { "b/" + it.key })).contains("2 bundles"))
        val twice = zip(contents + ("probe.onny" to ByteArray(3)))
        val entry = entryOf(twice, "probe.onny")
        assertTrue(refusal(twice.patched(entry + 46 + 9, 'x'.code)).contains("twice"))
        assertTrue(refusal(zip(contents + ("manifest.json" to "{}".toByteArray()))).contains("format"))
        val size = contents.getValue("probe.onnx").size
        val none = String(contents.getValue("manifest.json")).replace(Regex("\"size_bytes\": ?$size\\b"), "\"size_bytes\": 0")
        assertTrue(refusal(zip(contents + ("manifest.json" to none.toByteArray()))).contains("with 0 bytes"))
    }

    @Test
    fun `damage of every kind is an explanation`() {
        val raw = zip(contents)
        for (length in listOf(0, 10, raw.size / 2, raw.size - 1)) assertTrue(refusal(raw.copyOf(length)).contains("zip"))
        assertTrue(refusal(ByteArray(100_000)).contains("no zip file"))
        val entry = entryOf(raw, Bundle.WEIGHTS)
        assertTrue(refusal(raw.patched(entry + 8, raw[entry + 8].toInt() or 1)).contains("encrypted"))
        assertTrue(refusal(raw.patched(entry + 10, 12)).contains("method 12"))
        assertTrue(refusal(raw.patched(entry + 42, 0xFF, 0xFF, 0xFF, 0x7F)).contains("cannot be read"))
        val header = ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN).getInt(entry + 42)
        val middle = header + 30 + Bundle.WEIGHTS.length + 2000
        assertTrue(refusal(raw.patched(middle, raw[middle] + 1)).contains("damaged"))
        assertTrue(refusal(zip(contents, stored = true).let { it.patched(it.size / 2, it[it.size / 2] + 1) }).isNotEmpty())
    }

    @Test
    fun `a zip of more than 4 GiB, said in its long fields, is read`() {
        val raw = zip(contents)
        val name = Bundle.WEIGHTS
        val at = entryOf(raw, name)
        val plain = ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN)
        val end = raw.size - 22
        val (start, size) = plain.getInt(end + 16) to plain.getInt(end + 12)
        val numbers = listOf(plain.getInt(at + 24), plain.getInt(at + 20), plain.getInt(at + 42)).map { it.toLong() }
        val extra = little(1, 2) + little(24, 2) + numbers.map { little(it, 8) }.reduce(ByteArray::plus)
        val none = little(0xFFFFFFFFL, 4)
        val head = raw.copyOfRange(at, at + 46 + name.length)
        for (place in listOf(20, 24, 42)) none.copyInto(head, place)
        little(extra.size.toLong(), 2).copyInto(head, 30)
        val directory = raw.copyOfRange(start, at) + head + extra + raw.copyOfRange(at + 46 + name.length, start + size)
        val count = plain.getShort(end + 10).toLong()
        val record = little(0x06064b50, 4) + little(44, 8) + little(0x002D002DL, 4) + little(0, 8) + little(count, 8) + little(count, 8) +
            little(directory.size.toLong(), 8) + little(start.toLong(), 8)
        val locator = little(0x07064b50, 4) + little(0, 4) + little(start.toLong() + directory.size, 8) + little(1, 4)
        val tail = little(0x06054b50, 4) + little(0, 4) + little(0xFFFFFFFFL, 4) + little(0xFFFFFFFFL, 8) + little(0, 2)
        assertWhole(unpacked(raw.copyOf(start) + directory + record + locator + tail))
    }

    @Test
    fun `a packed folder is what the JVM's own reader unpacks, without what is hidden or not wanted`() {
        val folder = temporary.newFolder("run")
        File(folder, "journal.bin").writeBytes(byteArrayOf(1, 2, 3))
        File(folder, ".lock").writeText("")
        File(folder, "contexts").mkdir()
        File(folder, "contexts/train.contexts").writeText("x")
        File(folder, "states").mkdir()
        File(folder, "states/000001.safetensors").writeText("y")
        val raw = ByteArrayOutputStream().also { out -> ZipFolder.write(folder, out) { !it.startsWith("contexts/") } }.toByteArray()
        val file = temporary.newFile().also { it.writeBytes(raw) }
        ZipFile(file).use { zip ->
            assertEquals(listOf("run/journal.bin", "run/states/000001.safetensors"), zip.entries().asSequence().map { it.name }.toList())
            assertArrayEquals(byteArrayOf(1, 2, 3), zip.getInputStream(zip.getEntry("run/journal.bin")).readBytes())
        }
    }
}
