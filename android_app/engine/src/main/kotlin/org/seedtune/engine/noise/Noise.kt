package org.seedtune.engine.noise

/**
 * The one source of randomness: a 32-bit integer hash, the same in numpy, in ONNX and here.
 *
 * Nothing keeps a state. Every random number of a run is a pure function of the run seed, the purpose it is drawn for
 * and a counter. Kotlin's [Int] arithmetic wraps, so 32-bit words are kept in [Int]s and seeds, which are shown and
 * stored as 0 to 2^32 - 1, in [Long]s.
 *
 * The mixer is `lowbias32` (C. Wellons, "Prospecting for Hash Functions", 2018). Reference values: `mix32` of 0, 1, 2 and
 * 12345 is 0, 0x688990C0, 0xD1132181 and 0x912EFCF7.
 */
internal object Noise {
    /** `lowbias32` of one word. */
    fun mix32(word: Int): Int {
        var x = word
        x = x xor (x ushr 16)
        x *= MULTIPLIER_1
        x = x xor (x ushr 15)
        x *= MULTIPLIER_2
        return x xor (x ushr 16)
    }

    /** [count] hash words of [seed]: `mix32(mix32(i xor seed) + seed * GOLDEN)` for i in 0 until count. */
    fun words(seed: Long, count: Int): IntArray {
        val key = seed.toInt()
        return IntArray(count) { mix32(mix32(it xor key) + key * GOLDEN) }
    }

    /** [count] values of +1 or -1: bit `i % 32` of noise word `i / 32`, where 1 means +1. */
    fun rademacher(seed: Long, count: Int): FloatArray {
        val words = words(seed, (count + BITS_PER_WORD - 1) / BITS_PER_WORD)
        return FloatArray(count) { if ((words[it / BITS_PER_WORD] ushr (it % BITS_PER_WORD)) and 1 == 1) 1f else -1f }
    }

    /** A 32-bit seed for [purpose] ("probe", "sampler") and [counter]; the purpose enters as the FNV-1a hash of its ASCII. */
    fun deriveSeed(seed: Long, purpose: String, counter: Long = 0): Long {
        var tag = FNV_OFFSET
        for (byte in purpose.toByteArray(Charsets.US_ASCII)) tag = (tag xor byte.toInt()) * FNV_PRIME
        val keyed = mix32(counter.toInt() + seed.toInt() * GOLDEN)
        return mix32(keyed xor tag).toLong() and WORD_MASK
    }

    /** The numbers 0 until [count] in an order drawn from [seed]: sorted by (noise word as an unsigned number, number). */
    fun permutation(seed: Long, count: Int): IntArray {
        val words = words(seed, count)
        // The word in the upper half and the number in the lower: one primitive sort, ties by number.
        val keys = LongArray(count) { ((words[it].toLong() and WORD_MASK) shl BITS_PER_WORD) or it.toLong() }
        // Signed order of longs is unsigned order of words only after the top bit is flipped.
        for (place in keys.indices) keys[place] = keys[place] xor Long.MIN_VALUE
        keys.sort()
        return IntArray(count) { keys[it].toInt() }
    }

    const val BITS_PER_WORD = 32
    const val WORD_MASK = 0xFFFFFFFFL
    private const val GOLDEN = 0x9E3779B1.toInt()
    private const val MULTIPLIER_1 = 0x7FEB352D
    private const val MULTIPLIER_2 = 0x846CA68B.toInt()
    private const val FNV_OFFSET = 0x811C9DC5.toInt()
    private const val FNV_PRIME = 0x01000193
}
