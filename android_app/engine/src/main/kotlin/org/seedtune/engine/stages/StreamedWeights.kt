package org.seedtune.engine.stages

import java.io.Closeable
import java.io.File
import java.io.IOException
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import org.seedtune.engine.SeedTuneException

/** The whole pages around [sizeBytes] bytes at [offset]: where they start, and their bytes. */
internal class Span(offset: Long, sizeBytes: Int) {
    val start: Long = offset / Platform.PAGE_BYTES * Platform.PAGE_BYTES
    val sizeBytes: Int = Platform.wholePages((offset - start).toInt() + sizeBytes)
}

internal val Tensor.span get() = Span(offset, sizeBytes)

/**
 * Weights for stages: matrices streamed through a small buffer ahead of their use, the rest mapped or kept. One thread reads what
 * the coming stages need while the calling thread computes. Every matrix is read once a pass.
 *
 * @param bufferBytes what streamed matrices share; at least what the largest stage needs.
 * @param kept streamed matrices that stay in memory on top of that, after their first reading.
 * @throws SeedTuneException a table is to be mapped, and the file system has no mmap.
 */
internal class StreamedWeights(
    val tensors: Map<String, Tensor>,
    private val roles: Map<String, Role>,
    private val bufferBytes: Int,
    private val kept: Set<String>,
    private val platform: Platform,
) : Closeable {
    // What stays; tables from the start, before anything that must be closed is opened.
    private val fixed = HashMap(roles.filterValues { it == Role.MAPPED }.mapValues { (name, _) -> mapped(tensors.getValue(name)) })
    private val files = roles.keys.map { tensors.getValue(it).file }.distinct().associateWith { WeightsFile(platform, it) }
    private val buffer = platform.pages(bufferBytes)
    private val memory = ArrayList<ByteBuffer>()

    /** Bytes read from the files so far, except through the mapping. */
    val bytesRead: Long get() = files.values.sumOf { it.bytesRead }

    /** Gives [use] the bytes of the tensors of each of [stages], in order; they are valid until it returns. */
    fun pass(stages: List<Set<String>>, use: (stage: Int, bytes: Map<String, ByteBuffer>) -> Unit) {
        files.values.forEach(WeightsFile::requireUnchanged)
        inOrder(stages.flatten().distinct().filter { roles[it] != Role.STREAMED && it !in fixed }).forEach(::fix)
        ReadAhead(stages, stages.map(::movingBytes), bufferBytes, "seedtune-weights", ::read).use { ahead ->
            for (stage in stages.indices) use(stage, ahead.next())
        }
    }

    override fun close() {
        files.values.forEach(WeightsFile::close)
        fixed.clear()
        (memory + buffer).forEach(platform::release)
    }

    /** What [stage] takes of the buffer; one without matrices a page, so that each stage gives one piece back. */
    private fun movingBytes(stage: Set<String>): Int =
        maxOf(stage.filter { it !in fixed && it !in kept }.sumOf { tensors.getValue(it).span.sizeBytes }, Platform.PAGE_BYTES)

    private fun read(stage: Set<String>, offset: Int): Map<String, ByteBuffer> {
        val found = HashMap<String, ByteBuffer>()
        var place = offset
        for (name in inOrder(stage.filter { it !in fixed })) {
            if (name in kept) {
                fix(name)
                continue
            }
            found[name] = read(name, buffer, place)
            place += tensors.getValue(name).span.sizeBytes
        }
        for (name in stage) fixed[name]?.let { found[name] = it }
        return found
    }

    /** [names] in the order in which they lie in their files. */
    private fun inOrder(names: List<String>): List<String> =
        names.sortedWith(compareBy({ tensors.getValue(it).file }, { tensors.getValue(it).offset }))

    /** Reads [name] into [pages] from [offset] on; its bytes there. */
    private fun read(name: String, pages: ByteBuffer, offset: Int): ByteBuffer {
        val tensor = tensors.getValue(name)
        val span = tensor.span
        files.getValue(tensor.file).read(span.start, pages.duplicate().apply { limit(offset + span.sizeBytes).position(offset) })
        val first = offset + (tensor.offset - span.start).toInt()
        return pages.duplicate().apply { limit(first + tensor.sizeBytes).position(first) }.slice()
    }

    /** Makes [name] stay, in memory of its own. */
    private fun fix(name: String): ByteBuffer =
        read(name, platform.pages(tensors.getValue(name).span.sizeBytes).also(memory::add), 0).also { fixed[name] = it }

    private fun mapped(tensor: Tensor): ByteBuffer =
        try {
            RandomAccessFile(tensor.file, "r").use { it.channel.map(FileChannel.MapMode.READ_ONLY, tensor.offset, tensor.sizeBytes.toLong()) }
        } catch (error: IOException) {
            throw SeedTuneException(
                "the weights cannot be mapped into memory (${error.message})",
                tensor.file.path,
                rule = "a file system with mmap, for a run within a memory limit",
                remedy = "copy the bundle to the storage of the device itself, or leave the memory limit out",
                cause = error,
            )
        }
}
