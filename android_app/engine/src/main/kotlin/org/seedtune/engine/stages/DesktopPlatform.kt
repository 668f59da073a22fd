package org.seedtune.engine.stages

import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import java.nio.file.OpenOption
import java.nio.file.StandardOpenOption

/**
 * A desktop JVM, from version 10 on. The engine is compiled against what a phone has as well, so what only the JVM has is looked
 * up by name.
 */
object DesktopPlatform : Platform {
    private val alignedSlice = ByteBuffer::class.java.getMethod("alignedSlice", Int::class.javaPrimitiveType)

    /** O_DIRECT. */
    private val direct: OpenOption? =
        runCatching { Class.forName("com.sun.nio.file.ExtendedOpenOption").enumConstants.first { it.toString() == "DIRECT" } as OpenOption }.getOrNull()

    override fun pages(sizeBytes: Int): ByteBuffer {
        val size = Platform.wholePages(sizeBytes)
        val aligned = alignedSlice.invoke(ByteBuffer.allocateDirect(size + Platform.PAGE_BYTES - 1), Platform.PAGE_BYTES) as ByteBuffer
        aligned.limit(size)
        return aligned.slice()
    }

    override fun open(file: File): PageFile = Channel(
        try {
            FileChannel.open(file.toPath(), setOfNotNull(StandardOpenOption.READ, direct))
        } catch (_: UnsupportedOperationException) {
            FileChannel.open(file.toPath(), StandardOpenOption.READ)
        } catch (_: IOException) {
            // A file system without direct reading; whatever else is wrong is wrong again.
            FileChannel.open(file.toPath(), StandardOpenOption.READ)
        },
    )

    private class Channel(private val channel: FileChannel) : PageFile {
        override fun read(start: Long, into: ByteBuffer): Int = channel.read(into, start)

        override fun close() = channel.close()
    }
}
