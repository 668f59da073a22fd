package org.seedtune.engine.stages

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import java.io.Closeable
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.seedtune.engine.data.Batch
import org.seedtune.engine.graph.Feeds
import org.seedtune.engine.graph.GraphSession

/** Memory outside the heap that is taken and given back again and again: what the collector is to free stays for long. */
internal class PagePool(private val platform: Platform) : Closeable {
    private val free = ArrayList<ByteBuffer>()

    /** At least [sizeBytes], from its beginning. */
    fun take(sizeBytes: Int): ByteBuffer {
        val found = free.filter { it.capacity() >= sizeBytes }.minByOrNull { it.capacity() }
        if (found != null) free.remove(found)
        return (found ?: platform.pages(maxOf(sizeBytes, 1))).apply { clear() }
    }

    fun giveBack(pages: ByteBuffer) {
        free += pages
    }

    override fun close() = free.forEach(platform::release)
}

/**
 * The rows of all calls in flight one behind the other, for stages that run once for all of them ([Stage.together]).
 *
 * @param group the calls.
 * @param pool where its memory comes from.
 */
internal class Together(private val group: List<Batch>, private val pool: PagePool) : Closeable {
    /** A value for all rows, and its memory where it is not ONNX Runtime's. */
    private class Laid(val tensor: OnnxTensor, val pages: ByteBuffer?) {
        /** A copy, which all calls take their parts of. */
        val bytes: ByteBuffer by lazy(LazyThreadSafetyMode.NONE) { tensor.byteBuffer }
    }

    private val values = HashMap<String, Laid>()
    private val taken = ArrayList<ByteBuffer>()
    private val rows = group.sumOf { it.index.size }

    operator fun contains(name: String): Boolean = name in values

    /** [name] for all rows, which were made for all at once or are those of [calls]. */
    fun whole(name: String, calls: () -> List<OnnxTensor>): OnnxTensor = values.getOrPut(name) { laid(calls()) }.tensor

    /** Keeps what a stage made for all rows. */
    fun keep(name: String, tensor: OnnxTensor) {
        drop(name)
        values[name] = Laid(tensor, null)
    }

    /** Feeds [key] with what was made as [name] for the rows of call [number] until [done]. */
    fun lendPart(feeds: Feeds, key: String, name: String, number: Int) {
        val (bytes, shape) = part(name, number)
        val pages = pool.take(bytes.remaining()).also(taken::add)
        pages.put(bytes).flip()
        feeds.raw(key, pages, values.getValue(name).tensor.info.type, *shape)
    }

    /** What [name], which was made for all rows, is for call [number]: with memory of its own. */
    fun partOf(name: String, number: Int): OnnxTensor {
        val (bytes, shape) = part(name, number)
        return tensor(bytes, shape, values.getValue(name).tensor.info.type)
    }

    /** The parts that were lent are not read any more. */
    fun done() {
        taken.forEach(pool::giveBack)
        taken.clear()
    }

    /** Nobody reads [name] any more. */
    fun drop(name: String) {
        val laid = values.remove(name) ?: return
        laid.tensor.close()
        laid.pages?.let(pool::giveBack)
    }

    /** Feeds the layers of [stage] with a context of one token, as what is wanted of them tells of none. */
    fun lendNoLayers(feeds: Feeds, stage: Stage) {
        for ((key, place) in stage.layerInputs) {
            val input = group.first().layered.getValue(place.first)
            val (_, heads, tokens, size) = input.shape
            val bytes = input.layerBytes / group.first().index.size / tokens * rows
            val pages = pool.take(bytes).also(taken::add)
            pages.limit(bytes)
            feeds.raw(key, pages, input.type, rows, heads, 1, size)
        }
    }

    override fun close() {
        done()
        values.keys.toList().forEach(::drop)
    }

    private fun laid(calls: List<OnnxTensor>): Laid {
        val parts = calls.map { it.byteBuffer }
        val pages = pool.take(parts.sumOf { it.remaining() })
        parts.forEach(pages::put)
        pages.flip()
        val shape = calls.first().info.shape.copyOf()
        shape[0] = calls.sumOf { it.info.shape[0] }
        return Laid(tensor(pages, IntArray(shape.size) { shape[it].toInt() }, calls.first().info.type), pages)
    }

    private fun part(name: String, number: Int): Pair<ByteBuffer, IntArray> {
        val laid = values.getValue(name)
        val shape = laid.tensor.info.shape.run { IntArray(size) { this[it].toInt() } }
        val before = group.take(number).sumOf { it.index.size }
        val whole = laid.bytes.duplicate()
        val ofRow = whole.remaining() / rows
        shape[0] = shape[0] / rows * group[number].index.size
        whole.position(ofRow * before).limit(ofRow * (before + group[number].index.size))
        return whole.slice() to shape
    }

    private fun tensor(bytes: ByteBuffer, shape: IntArray, type: OnnxJavaType): OnnxTensor =
        OnnxTensor.createTensor(GraphSession.environment(), bytes.order(ByteOrder.nativeOrder()), LongArray(shape.size) { shape[it].toLong() }, type)

    companion object {
        /**
         * Whether there is more than one call, and their rows are alike but for their contexts. A row that is alone in its call stays so:
         * products of floats, such as those of the state, come out another in their last bits for one row than for several.
         */
        fun possible(group: List<Batch>): Boolean =
            group.size > 1 && group.all { it.index.size > 1 } &&
                group.map { batch -> batch.feeds.tensors.mapValues { (_, tensor) -> tensor.info.shape.drop(1) } }.distinct().size == 1
    }
}
