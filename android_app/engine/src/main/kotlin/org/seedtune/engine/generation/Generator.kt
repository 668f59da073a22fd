package org.seedtune.engine.generation

import ai.onnxruntime.OnnxTensor
import java.io.Closeable
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.graph.Interruption
import org.seedtune.engine.task.CompiledTask

/** A decode graph at work, and the task whose tokenizer makes texts of what it says. */
internal class Generator private constructor(private val decoder: Decoder, private val task: CompiledTask) : Closeable {
    /** See [org.seedtune.engine.SeedTune.generate]; the state is [state]. */
    fun generate(
        prompt: Prompt, state: OnnxTensor, maxTokens: Int, sampling: Sampling, stops: List<String>, onPiece: (String) -> Boolean,
    ): Generated {
        sampling.check()
        if (maxTokens < 1) throw SeedTuneException("no token may be generated", value = maxTokens, rule = "1 or more", remedy = "raise it")
        if (stops.any { it.isEmpty() }) throw SeedTuneException("a stop text is empty", value = stops, rule = "some text", remedy = "leave it out")
        val asked = task.idsOf(prompt, decoder.layout)
        val most = minOf(maxTokens, decoder.layout.maxTokens - asked.ids.size)
        return Text(asked.ids, TextStream(task::text, asked.ids, stops), sampling, state, onPiece).generate(asked.firstPlace, most)
    }

    /** One text while it is made. */
    private inner class Text(
        private val promptIds: IntArray,
        private val stream: TextStream,
        private val sampling: Sampling,
        private val state: OnnxTensor,
        private val onPiece: (String) -> Boolean,
    ) {
        private val past = Past(decoder.layout)
        private val ids = ArrayList<Int>()
        private var listenedNanoseconds = 0L

        fun generate(firstPlace: Int, most: Int): Generated {
            val started = System.nanoTime()
            val logits = readPrompt(firstPlace)
            val promptSeconds = secondsSince(started)
            listenedNanoseconds = 0
            val began = System.nanoTime()
            val finish = if (logits == null) Finish.CANCELLED else goOn(logits, most)
            val seconds = secondsSince(began)
            if (finish != Finish.CANCELLED) stream.finish().takeIf { it.isNotEmpty() }?.let(::tell)
            return Generated(stream.text, ids, promptIds.toList(), finish, promptSeconds, seconds)
        }

        /** What comes before [firstPlace] is read by the untouched model, as in tuning. */
        private fun readPrompt(firstPlace: Int): FloatArray? {
            val goesOn = { tell("") }
            if (firstPlace > 0) {
                decoder.read(past, promptIds.copyOf(firstPlace), null, goesOn) ?: return null
                if (!goesOn()) return null
            }
            return decoder.read(past, promptIds.copyOfRange(firstPlace, promptIds.size), state, goesOn)
        }

        private fun goOn(first: FloatArray, most: Int): Finish {
            var logits = first
            while (ids.size < most) {
                val id = sampling.choose(logits, ids.size)
                if (id in decoder.layout.endIds) return Finish.STOP
                ids += id
                val goesOn = tell(stream.add(id))
                if (stream.isStopped) return Finish.STOP
                if (!goesOn) return Finish.CANCELLED
                if (ids.size < most) logits = decoder.read(past, intArrayOf(id), state)!!
            }
            return Finish.LENGTH
        }

        private fun tell(piece: String): Boolean {
            val started = System.nanoTime()
            return onPiece(piece).also { listenedNanoseconds += System.nanoTime() - started }
        }

        private fun secondsSince(started: Long) = (System.nanoTime() - started - listenedNanoseconds) / NANOSECONDS
    }

    override fun close() = decoder.close()

    companion object {
        private const val NANOSECONDS = 1e9

        /**
         * The decode graph of [bundle] with [threads] of ONNX Runtime.
         *
         * @throws SeedTuneException the bundle cannot generate, or there is a memory limit.
         */
        fun open(bundle: Bundle, task: CompiledTask, threads: Int, memoryLimitBytes: Long?, interruption: Interruption): Generator {
            if (memoryLimitBytes != null) {
                throw SeedTuneException(
                    "text is not generated within a memory limit: every token would read all weights from the disk",
                    value = "$memoryLimitBytes bytes",
                    rule = "no memory limit; the weights are mapped, so the system can do without them where memory is short",
                    remedy = "leave the memory limit out",
                )
            }
            val file = bundle.graph(Bundle.DECODE)
            val (layout, parameters) = bundle.manifest.languageModel.decode!! to bundle.manifest.state.parameters
            return Generator(Decoder(file, layout, parameters, threads, interruption), task)
        }
    }
}
