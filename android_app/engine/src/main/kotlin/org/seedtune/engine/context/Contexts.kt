package org.seedtune.engine.context

import java.io.Closeable
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.data.Example
import org.seedtune.engine.graph.Graphs

/**
 * The contexts of some rows: from a cache file as far as there is one, computed anew otherwise. Both give the same bytes, as far
 * as a product of matrices rounds the same way in another batch.
 *
 * @param cache the cache file, made if need be; null computes every context anew.
 * @param read further cache files, of which nothing but contexts is wanted.
 * @throws SeedTuneException the cache file belongs to another bundle, or has been altered.
 */
internal class Contexts(
    private val bundle: Bundle,
    private val examples: List<Example>,
    cache: File?,
    graphs: Graphs,
    read: List<File> = emptyList(),
) : Closeable {
    private val layout = requireNotNull(bundle.manifest.languageModel.context) { "a bundle of scope \"all\" has no contexts" }
    private val maker = lazy { ContextMaker(graphs.open("context"), bundle.manifest.languageModel, graphs.tokensPerContextCall) }
    private val contextAlone = readsContextAlone(bundle.manifest.languageModel)
    private val file = cache?.let { CacheFile(it, bundle.sha256, layout) }
    private val files = listOfNotNull(file) + read.map { CacheFile(it, bundle.sha256, layout, writable = false) }
    private val folder = cache?.parentFile

    /** Of how many tokens of each row something is kept. */
    val tokens = List(examples.size) { keptTokens(examples[it], layout) }

    /** Computes what the cache lacks and appends it; stopped at any time, it goes on from there. [advance] hears of each row. */
    fun build(advance: (done: Int, of: Int) -> Unit = { _, _ -> }) {
        val cache = file ?: return
        val missing = distinct().filterNot(::isKept)
        if (missing.isEmpty()) return
        requireSpace(missing.sumOf { CacheFile.entryBytes(layout, tokens[it]) })
        var done = 0
        maker.value.make(missing.map { examples[it] }) { place, block ->
            cache.append(key(examples[missing[place]]), block)
            advance(++done, missing.size)
        }
    }

    /** What the contexts come to, and what of them is in no cache. */
    fun cost(): ContextCost {
        val rows = distinct()
        val missing = rows.filterNot(::isKept)
        fun bytes(places: List<Int>) = places.sumOf { CacheFile.entryBytes(layout, tokens[it]) }
        return ContextCost(rows.size, bytes(rows), missing.size, bytes(missing), bundle.computesContexts)
    }

    /** The places of rows whose context is in no cache and cannot be computed, ascending. */
    fun absent(): List<Int> =
        if (bundle.computesContexts) emptyList() else examples.indices.filter { tokens[it] != Tokens.NONE && !isKept(it) }

    /** The places of rows with a context, equal rows once, in the order in which the Python runtime writes them. */
    private fun distinct(): List<Int> {
        val first = LinkedHashMap<String, Int>()
        for (place in examples.indices.reversed()) {
            if (tokens[place] != Tokens.NONE) first[String(key(examples[place]), Charsets.ISO_8859_1)] = place
        }
        return first.values.toList()
    }

    private fun isKept(place: Int): Boolean = key(examples[place]).let { key -> files.any { key in it } }

    /** The block of each example of [indices], in that order. */
    fun blocks(indices: List<Int>): List<Block> {
        val found = HashMap<Int, Block>()
        for (index in indices) {
            val block = if (tokens[index] == Tokens.NONE) EMPTY else key(examples[index]).let { key -> files.firstNotNullOfOrNull { it.block(key) } }
            if (block != null) found[index] = block
        }
        val absent = indices.distinct().filterNot { it in found }
        if (absent.isNotEmpty()) maker.value.make(absent.map { examples[it] }) { place, block -> found[absent[place]] = block }
        return indices.map { found.getValue(it) }
    }

    override fun close() {
        if (maker.isInitialized()) maker.value.close()
        files.forEach(CacheFile::close)
    }

    /** SHA-256 of all that the block of [example] depends on besides the bundle: tokens read, and places kept. */
    private fun key(example: Example): ByteArray {
        val kept = contextPlaces(example)
        val digest = MessageDigest.getInstance("SHA-256")
        val read = readIds(example, contextAlone)
        for (part in listOf(read, LongArray(kept.size) { kept[it].toLong() })) {
            val raw = ByteBuffer.allocate((part.size + 1) * Long.SIZE_BYTES).order(ByteOrder.LITTLE_ENDIAN)
            raw.putLong(part.size.toLong())
            part.forEach(raw::putLong)
            digest.update(raw.array())
        }
        return digest.digest()
    }

    private fun requireSpace(neededBytes: Long) {
        val free = folder!!.usableSpace
        if (free >= neededBytes + RESERVED_BYTES) return
        throw SeedTuneException(
            "the storage has too little room for the context cache",
            folder.path,
            "${free / 1_000_000} MB free",
            "${(neededBytes + RESERVED_BYTES) / 1_000_000} MB",
            "free storage, or tune without the cache",
        )
    }

    private companion object {
        /** Left free for the journal and logs of the run. */
        const val RESERVED_BYTES = 16L shl 20
        val EMPTY = MemoryBlock(Tokens.NONE, ByteArray(0))
    }
}
