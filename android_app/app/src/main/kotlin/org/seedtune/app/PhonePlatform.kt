package org.seedtune.app

import android.os.Build
import android.os.SharedMemory
import android.system.ErrnoException
import android.system.Os
import android.system.OsConstants
import android.util.Log
import java.io.File
import java.io.FileDescriptor
import java.io.FileInputStream
import java.io.IOException
import java.nio.ByteBuffer
import org.seedtune.engine.stages.PageFile
import org.seedtune.engine.stages.Platform
import org.seedtune.engine.telemetry.MemoryRollup

/**
 * A file that is read by [direct], past the page cache, until that says no: some file systems open a file that way and refuse the first
 * read. From then on [buffered] reads it.
 */
internal class FallingBack(private var direct: PageFile?, private val buffered: () -> PageFile) : PageFile {
    private var plain: PageFile? = null

    init {
        if (direct == null) fallBack("cannot be opened past the page cache")
    }

    override fun read(start: Long, into: ByteBuffer): Int {
        val before = into.position()
        try {
            direct?.let { return it.read(start, into) }
        } catch (error: IOException) {
            direct?.close()
            direct = null
            into.position(before)
            fallBack("cannot be read past the page cache (${error.message})")
        }
        return plain!!.read(start, into)
    }

    private fun fallBack(why: String) {
        Log.i("SeedTune", "the weights $why: they go through it")
        plain = buffered()
    }

    override fun close() {
        direct?.close()
        plain?.close()
    }
}

/**
 * Memory and files of a phone. Direct buffers of Android lie in the heap of the app, which is small; shared memory that is shared
 * with nobody does not, and starts on a page. Before Android 8.1 there is no such thing: weights then go through the page cache.
 */
object PhonePlatform : Platform {
    private val pagesAreWhole = Build.VERSION.SDK_INT >= Build.VERSION_CODES.O_MR1

    override fun pages(sizeBytes: Int): ByteBuffer {
        val size = Platform.wholePages(sizeBytes)
        if (!pagesAreWhole) return ByteBuffer.allocateDirect(size)
        return try {
            // The mapping stays when the descriptor is closed.
            SharedMemory.create("seedtune", size).use { it.mapReadWrite() }
        } catch (error: ErrnoException) {
            throw OutOfMemoryError("$size bytes of shared memory: ${error.message}")
        }
    }

    override fun release(pages: ByteBuffer) {
        if (pagesAreWhole) SharedMemory.unmap(pages)
    }

    override fun open(file: File): PageFile = FallingBack(direct(file)) { Opened(FileInputStream(file)) }

    /** Pss counts what all apps share (some 100 MB of the framework's pages) by this app's share of it; Rss would count it whole. */
    override fun heldBytes(): Long {
        val rollup = MemoryRollup.read()
        return rollup.pssBytes?.let { it + (rollup.swapPssBytes ?: 0) } ?: super.heldBytes()
    }

    private fun direct(file: File): PageFile? {
        if (!pagesAreWhole) return null
        val descriptor: FileDescriptor = try {
            Os.open(file.path, OsConstants.O_RDONLY or directFlag(), 0)
        } catch (_: ErrnoException) {
            // A file system that cannot; whatever else is wrong is wrong again.
            return null
        }
        return Opened(FileInputStream(descriptor)) { Os.close(descriptor) }
    }

    /** O_DIRECT of Linux, which is another one on each processor. */
    private fun directFlag(): Int = if (Build.SUPPORTED_ABIS.first().startsWith("arm")) 0x10000 else 0x4000

    private class Opened(private val stream: FileInputStream, private val release: () -> Unit = {}) : PageFile {
        override fun read(start: Long, into: ByteBuffer): Int = stream.channel.read(into, start)

        @Throws(IOException::class)
        override fun close() {
            stream.close()
            release()
        }
    }
}
