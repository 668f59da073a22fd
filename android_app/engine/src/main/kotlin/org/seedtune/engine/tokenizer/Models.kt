package org.seedtune.engine.tokenizer

import java.util.PriorityQueue
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonPrimitive
import org.seedtune.engine.SeedTuneException

/** From a piece to tokens, by a vocabulary. */
internal interface TokenModel {
    /** The id that stands for what the vocabulary lacks, or null. */
    val unknownId: Int?

    /** Piece -> id, of those that are found in text. */
    val vocabulary: Map<String, Int>

    fun tokens(piece: Piece): List<Token>
}

internal object TokenModels {
    /**
     * The model that `tokenizer.json` describes, which finds no piece of [special], so that no text becomes one. One
     * character it does find, because text that holds it has no other spelling: who reads the ids has to refuse it.
     */
    fun parse(fields: JsonObject, special: Set<String> = emptySet()): TokenModel = model(fields, special.filterTo(HashSet()) { isLong(it) })

    private fun isLong(content: String) = content.codePointCount(0, content.length) > 1

    private fun model(fields: JsonObject, hidden: Set<String>): TokenModel =
        when (val type = fields["type"]?.takeUnless { it is JsonNull }?.jsonPrimitive?.content ?: "BPE") {
            "BPE" -> bytePairs(fields, hidden)
            "WordPiece" -> wordPieces(fields, hidden)
            else -> throw unsupported("model", type)
        }

    private fun bytePairs(fields: JsonObject, hidden: Set<String>): TokenModel {
        for (name in listOf("continuing_subword_prefix", "end_of_word_suffix")) {
            if (!fields.textOrNull(name).isNullOrEmpty()) throw unsupported("BPE with", name)
        }
        if (fields.flag("byte_fallback", false)) throw unsupported("BPE with", "byte_fallback")
        val merges = (fields.getValue("merges") as JsonArray).map(::pair)
        val vocabulary = vocabulary(fields)
        val unknownId = fields.textOrNull("unk_token")?.let(vocabulary::get)
        vocabulary.keys.removeAll(hidden)
        return BytePairs(vocabulary, merges, unknownId, fields.flag("ignore_merges", false))
    }

    private fun wordPieces(fields: JsonObject, hidden: Set<String>): TokenModel {
        val vocabulary = vocabulary(fields)
        val unknownId = vocabulary[fields.text("unk_token")]
        vocabulary.keys.removeAll(hidden)
        val longestWord = fields.getValue("max_input_chars_per_word").jsonPrimitive.int
        return WordPiece(vocabulary, unknownId, fields.text("continuing_subword_prefix"), longestWord)
    }

    // Older files write a merge as one string, newer ones as two.
    private fun pair(merge: JsonElement): Pair<String, String> =
        if (merge is JsonArray) {
            merge[0].jsonPrimitive.content to merge[1].jsonPrimitive.content
        } else {
            merge.jsonPrimitive.content.split(' ', limit = 2).let { it[0] to it[1] }
        }

    private fun vocabulary(fields: JsonObject): HashMap<String, Int> =
        (fields.getValue("vocab") as JsonObject).mapValuesTo(HashMap()) { it.value.jsonPrimitive.int }
}

/**
 * Byte-pair encoding (Sennrich et al. 2016): of all neighbours, those with the lowest rank are merged, the leftmost of
 * equals first, until no pair has a rank. Merges of pieces that [vocabulary] lacks are left out.
 */
internal class BytePairs(
    override val vocabulary: Map<String, Int>,
    merges: List<Pair<String, String>>,
    override val unknownId: Int?,
    private val wholeWordsFirst: Boolean,
) : TokenModel {
    // Pair of ids -> rank in the upper half, id of the merged token in the lower.
    private val ranks = HashMap<Long, Long>(2 * merges.size).also { ranks ->
        merges.forEachIndexed { rank, (left, right) ->
            val merged = vocabulary[left + right]
            val first = vocabulary[left]
            val second = vocabulary[right]
            if (merged != null && first != null && second != null) {
                ranks.putIfAbsent(key(first, second), (rank.toLong() shl 32) or merged.toLong())
            }
        }
    }

    override fun tokens(piece: Piece): List<Token> {
        if (piece.size == 0) return emptyList()
        if (wholeWordsFirst) vocabulary[piece.text()]?.let { return listOf(Token(it, piece.ends[piece.size - 1])) }
        val ids = IntArrayBuilder(piece.size)
        val ends = IntArrayBuilder(piece.size)
        var skipped = false
        var kept = 0
        for (place in piece.points.indices) {
            val id = vocabulary[String(piece.points, place, 1)] ?: unknownId
            if (id == null) {
                skipped = true
                continue
            }
            kept += utf8Bytes(piece.points[place])
            ids.add(id)
            ends.add(if (skipped) endOfByte(piece, kept) else piece.ends[place])
        }
        return merged(ids.toArray(), ends.toArray())
    }

    /**
     * Where the byte before [count] of the piece's UTF-8 ends. The library that Python uses counts the bytes of the characters it
     * knows, so behind one that it leaves out, tokens seem to end earlier than they do; truncation must cut where Python cuts.
     */
    private fun endOfByte(piece: Piece, count: Int): Int {
        var bytes = 0
        var place = -1
        while (bytes < count) bytes += utf8Bytes(piece.points[++place])
        return piece.ends[place]
    }

    private fun utf8Bytes(point: Int): Int = if (point < 0x80) 1 else if (point < 0x800) 2 else if (point < 0x10000) 3 else 4

    private class Candidate(val rank: Int, val left: Int, val leftId: Int, val rightId: Int, val merged: Int)

    /** A linked list of tokens and a queue of pairs; a pair whose tokens have changed since is skipped. */
    private fun merged(ids: IntArray, ends: IntArray): List<Token> {
        val next = IntArray(ids.size) { it + 1 }
        val before = IntArray(ids.size) { it - 1 }
        val queue = PriorityQueue<Candidate>(compareBy<Candidate> { it.rank }.thenBy { it.left })

        fun offer(left: Int) {
            val right = if (left < 0) return else next[left]
            if (right >= ids.size) return
            val found = ranks[key(ids[left], ids[right])] ?: return
            queue += Candidate((found ushr 32).toInt(), left, ids[left], ids[right], found.toInt())
        }

        for (place in ids.indices) offer(place)
        while (true) {
            val best = queue.poll() ?: break
            val right = next[best.left]
            if (ids[best.left] != best.leftId || right >= ids.size || ids[right] != best.rightId) continue
            ids[best.left] = best.merged
            ends[best.left] = ends[right]
            next[best.left] = next[right]
            if (next[right] < ids.size) before[next[right]] = best.left
            ids[right] = GONE
            offer(before[best.left])
            offer(best.left)
        }
        return ids.indices.filter { ids[it] != GONE }.map { Token(ids[it], ends[it]) }
    }

    private fun key(left: Int, right: Int): Long = (left.toLong() shl 32) or right.toLong()

    private companion object {
        const val GONE = -1
    }
}

/** WordPiece (Schuster and Nakajima 2012), as BERT has it: the longest token that fits, from the left, or unknown. */
internal class WordPiece(
    override val vocabulary: Map<String, Int>,
    override val unknownId: Int?,
    private val continuation: String,
    private val longestWord: Int,
) : TokenModel {
    override fun tokens(piece: Piece): List<Token> {
        if (piece.size == 0) return emptyList()
        if (piece.size > longestWord) return unknown(piece)
        val found = ArrayList<Token>()
        var start = 0
        while (start < piece.size) {
            var end = piece.size
            var id: Int? = null
            while (end > start) {
                val text = String(piece.points, start, end - start)
                id = vocabulary[if (start > 0) continuation + text else text]
                if (id != null) break
                end--
            }
            if (id == null) return unknown(piece)
            found += Token(id, piece.ends[end - 1])
            start = end
        }
        return found
    }

    private fun unknown(piece: Piece): List<Token> {
        val id = unknownId ?: throw SeedTuneException(
            "the tokenizer cannot encode this text",
            value = piece.text(),
            rule = "text that the tokenizer's vocabulary covers",
            remedy = "change the text, or choose another model",
        )
        return listOf(Token(id, piece.ends[piece.size - 1]))
    }
}
