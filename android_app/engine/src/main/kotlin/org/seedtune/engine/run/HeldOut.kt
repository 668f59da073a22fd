package org.seedtune.engine.run

import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.double
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.seedtune.engine.evaluation.Evaluation
import org.seedtune.engine.evaluation.Evaluator
import org.seedtune.engine.files.writeDurably
import org.seedtune.engine.graph.State
import org.seedtune.engine.json.JsonText
import org.seedtune.engine.json.parsed
import org.seedtune.engine.json.reading
import org.seedtune.engine.telemetry.JsonLines
import java.io.File

/** One evaluation of the held-out rows, as in evaluations.jsonl. */
internal class EvaluationRecord(val step: Int, val accuracy: Double, val loss: Double, val best: Boolean)

/**
 * The held-out rows of a run; [records] has every evaluation so far, those before a resume included.
 *
 * @param tell hears how far an evaluation is, and may end it by throwing.
 * @param examine evaluates a state on the rows.
 */
internal class HeldOut(
    private val folder: RunFolder,
    private val split: Split,
    private val settings: Settings,
    private val tell: (TuningEvent) -> Unit = {},
    private val examine: (state: State, advance: (done: Int, of: Int) -> Unit) -> Evaluation,
) {
    val records: MutableList<EvaluationRecord> = read(folder.evaluations)

    /** Of the untouched model, where it is not the start of the run. */
    var zeroShot: EvaluationRecord? = read(folder.zeroShot).firstOrNull()
        private set

    /** The evaluation with the lowest loss, the earliest of equals; null where none was better than the untouched model. */
    val best: EvaluationRecord? get() = records.lastOrNull { it.best }

    /** Evaluates the untouched model, whose state is [zero], unless that was done before. */
    fun evaluateUntouched(zero: State) {
        if (zeroShot != null) return
        val started = System.nanoTime()
        val evaluation = examine(zero, ::advanced)
        for (name in listOf("predictions_start.jsonl", "predictions_best.jsonl")) writePredictions(name, evaluation)
        val record = EvaluationRecord(0, evaluation.accuracy, evaluation.loss, true)
        writeDurably(folder.zeroShot, (JsonText.encode(fields(record, started)) + "\n").toByteArray())
        zeroShot = record
    }

    /** Whether the state after [step] steps is evaluated; the same however often a run is stopped and resumed. */
    fun isDue(step: Int): Boolean =
        (step % settings.evalEvery == 0 || step == settings.steps) && records.none { it.step == step }

    /** Evaluates [state] after [step] steps. */
    fun evaluate(step: Int, state: State): EvaluationRecord {
        val started = System.nanoTime()
        val evaluation = examine(state, ::advanced)
        val before = best ?: zeroShot
        val record = EvaluationRecord(step, evaluation.accuracy, evaluation.loss, before == null || evaluation.loss < before.loss)
        if (step == 0 && zeroShot == null) writePredictions("predictions_start.jsonl", evaluation)
        if (record.best) writePredictions("predictions_best.jsonl", evaluation)
        JsonLines(folder.evaluations).use { it.write(fields(record, started)) }
        records += record
        return record
    }

    private fun advanced(done: Int, of: Int) = tell(TuningEvent.Evaluating(done, of))

    private fun fields(record: EvaluationRecord, started: Long) = linkedMapOf(
        "step" to record.step,
        "accuracy" to record.accuracy,
        "loss" to record.loss,
        "examples" to split.examples.size,
        "seconds" to (System.nanoTime() - started) / 1e9,
        "best" to record.best,
    )

    private fun writePredictions(name: String, evaluation: Evaluation) {
        val probabilities = evaluation.probabilities ?: return
        val lines = split.rows.mapIndexed { index, row ->
            JsonText.encode(
                linkedMapOf(
                    "index" to index,
                    "fields" to row.fields,
                    "label" to split.examples[index].label,
                    "prediction" to Evaluator.mostProbable(probabilities[index]),
                    "probabilities" to probabilities[index].toList(),
                    "loss" to evaluation.losses[index],
                ),
            )
        }
        writeDurably(File(folder.folder, name), lines.joinToString("\n", postfix = "\n").toByteArray())
    }

    internal companion object {
        fun read(file: File): MutableList<EvaluationRecord> {
            if (!file.isFile) return ArrayList()
            val whole = file.readText().substringBeforeLast('\n', "").split('\n')
            return whole.withIndex().filter { it.value.isNotBlank() }.mapTo(ArrayList()) { (place, line) ->
                reading("${file.path}:${place + 1}", "this is no evaluation", "delete this line, or restore the file from a copy") {
                    val fields = parsed(line).jsonObject
                    EvaluationRecord(
                        fields.value("step").int, fields.value("accuracy").double, fields.value("loss").double, fields.value("best").boolean,
                    )
                }
            }
        }

        private fun JsonObject.value(name: String) = getValue(name).jsonPrimitive
    }
}
