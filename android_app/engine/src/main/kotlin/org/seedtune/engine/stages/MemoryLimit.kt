package org.seedtune.engine.stages

import org.seedtune.engine.SeedTuneException

/**
 * The rows of a run or an evaluation, and the state.
 *
 * @property longestTokens computed tokens of the longest row: all of it, or its suffix.
 * @property longestContext tokens of the longest context.
 * @property longestRead tokens that the context graph reads of a row; 0 if it is not used.
 * @property tokensWanted how many tokens of one side there are to compute before the weights change.
 * @property parameters values of the state.
 * @property contextBytes of the longest context's keys and values.
 * @property computedContexts whether rows in flight hold their contexts, because these are in no cache file.
 * @property layerBytes of one layer of the longest context's keys and values.
 */
internal data class Shape(
    val longestTokens: Int,
    val longestContext: Int,
    val longestRead: Int,
    val tokensWanted: Int,
    val parameters: Int,
    val contextBytes: Long = 0,
    val computedContexts: Boolean = false,
    val layerBytes: Long = 0,
)

/**
 * What fits into a memory limit; tokens are of one side of a probe, and a graph with one side takes twice as many.
 *
 * @property tokensPerCall of a call of the probe graph.
 * @property tokensInFlight for so many, each matrix is read once.
 * @property tokensPerContextCall that the context graph reads at once.
 * @property contextTokensPerCall cached tokens that a call of the probe graph may read.
 * @property bufferBytes for streamed matrices.
 * @property layerCalls for how many calls a layer of cached contexts is in memory: with 2 it is read while the call before computes.
 * @property layerBufferBytes for these layers.
 * @property expectedBytes what the process will hold at its peak.
 * @property kept matrices that stay in memory.
 */
internal data class MemoryChoice(
    val limitBytes: Long,
    val tokensPerCall: Int,
    val tokensInFlight: Int,
    val tokensPerContextCall: Int,
    val bufferBytes: Int,
    val layerCalls: Int = 1,
    val layerBufferBytes: Long = 0,
    val together: Boolean = false,
    val contextTokensPerCall: Int = 0,
    val expectedBytes: Long = 0,
    val kept: List<String> = emptyList(),
)

/**
 * Finds the fastest way to stay under a limit: the same choice as the Python runtime's (`runtime/stages/memory_limit.py` says
 * what it rests on).
 *
 * @param heldBytes what the process holds already.
 */
internal class MemoryLimit(
    private val plan: StagePlan,
    private val tensors: Map<String, Tensor>,
    private val shape: Shape,
    private val heldBytes: Long,
) {
    /**
     * @param limitBytes of everything the process holds, pages of files included.
     * @param tokensPerCall of one side of a probe, where it cannot be chosen any more.
     * @throws SeedTuneException there is no way; names the smallest limit that there is one for.
     */
    fun choose(limitBytes: Long, tokensPerCall: Int? = null): MemoryChoice {
        val (alone, ahead) = buffers()
        val row = maxOf(1, tokensPerCall ?: shape.longestTokens)
        var choice = MemoryChoice(limitBytes, row, row, maxOf(1, shape.longestRead), alone)
        requireFits(choice)

        fun fits(better: MemoryChoice) = bytesOf(better) <= limitBytes

        fun growCalls(mostTokens: Int) {
            if (tokensPerCall != null) return
            val most = minOf(mostTokens, shape.tokensWanted)
            var tokens = choice.tokensPerCall
            val start = choice
            while (tokens < most) {
                tokens = minOf(2 * tokens, most)
                val better = start.copy(tokensPerCall = tokens, tokensInFlight = maxOf(tokens, start.tokensInFlight))
                if (fits(better)) choice = better
            }
        }

        // Further doublings of a call save less time than what follows.
        growCalls(if (shape.longestContext > 0) FEWER_TOKENS_BESIDE_CONTEXTS else FEWER_TOKENS_PER_CALL)
        while (choice.tokensInFlight < shape.tokensWanted) {
            val better = choice.copy(tokensInFlight = minOf(2 * choice.tokensInFlight, shape.tokensWanted))
            if (!fits(better)) break
            choice = better
        }
        if (plan.graphs.values.any { stages -> stages.any { it.together.isNotEmpty() } }) choice.copy(together = true).let { if (fits(it)) choice = it }
        choice.copy(bufferBytes = ahead).let { if (fits(it)) choice = it }
        if (shape.layerBytes > 0 && !shape.computedContexts) choice.copy(layerCalls = 2).let { if (fits(it)) choice = it }
        while (shape.longestRead > 0 && choice.tokensPerContextCall < TOKENS_PER_CONTEXT_CALL) {
            val better = choice.copy(tokensPerContextCall = minOf(2 * choice.tokensPerContextCall, TOKENS_PER_CONTEXT_CALL))
            if (!fits(better)) break
            choice = better
        }
        growCalls(TOKENS_PER_CALL)
        var left = limitBytes - bytesOf(choice)
        choice = choice.copy(
            kept = plan.streamed.takeWhile { name ->
                left -= tensors.getValue(name).sizeBytes
                left >= 0
            },
        )
        return choice.copy(
            contextTokensPerCall = rowsWithContexts(choice) * maxOf(1, shape.longestContext),
            layerBufferBytes = layerBytes(choice),
            expectedBytes = bytesOf(choice),
        )
    }

    private fun requireFits(least: MemoryChoice) {
        val needed = bytesOf(least)
        if (needed <= least.limitBytes) return
        throw SeedTuneException(
            "the memory limit is too small for this bundle and these rows",
            value = "${least.limitBytes / MEGABYTE} MB",
            rule = "at least ${(needed + MEGABYTE - 1) / MEGABYTE} MB, of which the process holds ${heldBytes / MEGABYTE} MB already",
            remedy = "allow more memory, or use shorter rows or an int8 bundle",
        )
    }

    /** The buffer for one stage at a time, and for one more ahead. */
    private fun buffers(): Pair<Int, Int> {
        var alone = 0
        var ahead = 0
        for (stages in plan.graphs.values) {
            val sizes = stages.map { stage ->
                stage.weights.values.toSet().filter { plan.roles[it] == Role.STREAMED }.sumOf { tensors.getValue(it).span.sizeBytes }
            }
            alone = maxOf(alone, sizes.max())
            ahead = maxOf(ahead, sizes.zipWithNext { a, b -> a + b }.maxOrNull() ?: 0, alone)
        }
        return alone to ahead
    }

    /** What the process holds at its peak. */
    private fun bytesOf(choice: MemoryChoice): Long {
        fun sizeOf(names: List<String>) = names.sumOf { tensors.getValue(it).sizeBytes.toLong() }
        val state = STATE_COPIES * Float.SIZE_BYTES.toLong() * shape.parameters
        val batches = plan.graphs.keys.maxOf { batches(it, choice) }
        val buffers = choice.bufferBytes + layerBytes(choice)
        return heldBytes + ALLOWANCE_BYTES + sizeOf(plan.resident) + sizeOf(choice.kept) + state + buffers + batches
    }

    /** What layers of cached contexts take. */
    private fun layerBytes(choice: MemoryChoice): Long = choice.layerCalls * rowsWithContexts(choice) * shape.layerBytes

    /** How many rows with the longest context a call has, of whichever graph. */
    private fun rowsWithContexts(choice: MemoryChoice): Int = maxOf(1, choice.tokensPerCall / maxOf(1, shape.longestTokens))

    /** What the batches in flight of [graph] take. */
    private fun batches(graph: String, choice: MemoryChoice): Long {
        val memory = plan.memory.getValue(graph)
        if (graph == "context") {
            if (shape.longestRead == 0) return 0
            val rows = maxOf(1, choice.tokensPerContextCall / shape.longestRead)
            // On top of what the graph returns: the block that is being written, and rows that are kept nowhere else.
            val blocks = 1 + if (shape.computedContexts) rowsInFlight(choice, 2) else 0
            val held = memory.held.of(rows, shape.longestRead) + blocks * shape.contextBytes
            return held + (ARENA_FACTOR * memory.running.of(rows, shape.longestRead)).toLong()
        }
        val tokens = maxOf(1, shape.longestTokens)
        val sides = if (graph == StagePlan.PROBE || graph == StagePlan.GRADIENT) 1 else 2
        val rows = maxOf(1, sides * choice.tokensPerCall / tokens)
        val inFlight = rowsInFlight(choice, sides)
        val contexts = if (shape.computedContexts) inFlight * shape.contextBytes else 0
        // Each call in flight has a gradient of its own, in float32.
        val gradients = if (graph == StagePlan.GRADIENT) (inFlight + rows - 1) / rows * Float.SIZE_BYTES.toLong() * shape.parameters else 0
        var held = memory.held.of(inFlight, tokens, shape.longestContext) + contexts + gradients
        // A call of short contexts has more rows, but no more tokens of contexts.
        val ofContexts = memory.running.ofContexts(rowsWithContexts(choice), tokens, shape.longestContext)
        var running = memory.running.of(rows, tokens) + ofContexts
        if (choice.together && graph != StagePlan.GRADIENT) {
            // Side by side as well as call by call.
            held += memory.held.of(inFlight, tokens)
            running = maxOf(running, memory.running.of(inFlight, tokens))
        }
        return held + (ARENA_FACTOR * running).toLong()
    }

    private fun rowsInFlight(choice: MemoryChoice, sides: Int): Int {
        val tokens = maxOf(1, shape.longestTokens)
        return maxOf(1, (sides * choice.tokensInFlight + tokens - 1) / tokens)
    }

    private companion object {
        const val MEGABYTE = 1_000_000L

        /** Sessions over stage graphs, threads, and pages of libraries and tables that are touched later. */
        const val ALLOWANCE_BYTES = 32L shl 20

        /** Blocks of an arena do not fit exactly. */
        const val ARENA_FACTOR = 1.5

        /** Copies of the state: what an update reads and writes, its noise, what an evaluation is given. */
        const val STATE_COPIES = 3
        const val FEWER_TOKENS_PER_CALL = 64

        /** The same where each row brings a context. */
        const val FEWER_TOKENS_BESIDE_CONTEXTS = 8
        const val TOKENS_PER_CALL = 512
        const val TOKENS_PER_CONTEXT_CALL = 512
    }
}
