package org.seedtune.engine

import java.io.File
import kotlin.system.exitProcess
import org.seedtune.engine.generation.Prompt
import org.seedtune.engine.generation.Sampling
import org.seedtune.engine.json.JsonText

/**
 * `seedtune generate` on this engine, in a process of its own, for tests and measurements; PROMPT is a field of the task's template:
 *
 *     java -cp ... org.seedtune.engine.GenerateProcessKt BUNDLE PROMPT [--run RUN] [--raw true] [--threads 1] [--max-tokens 256]
 *         [--temperature 0] [--top-p 1] [--seed 0] [--stop TEXT]
 *
 * Prints the pieces as they come, and at the end a line of JSON. What the user can put right ends it with status 2.
 */
fun main(arguments: Array<String>) {
    val (bundle, text) = arguments
    val given = arguments.drop(2).chunked(2).associate { (name, value) -> name.removePrefix("--") to value }
    try {
        SeedTune.open(File(bundle), given["threads"]?.toInt() ?: 1).use { model ->
            given["run"]?.let { model.restore(File(it)) }
            val field = model.bundle.manifest.languageModel.task.fields.first()
            val prompt = if (given["raw"] == "true") Prompt.Raw(text) else Prompt.Row(mapOf(field to text))
            val sampling = Sampling(given["temperature"]?.toDouble() ?: 0.0, given["top-p"]?.toDouble() ?: 1.0, given["seed"]?.toLong() ?: 0)
            val found = model.generate(prompt, given["max-tokens"]?.toInt() ?: SeedTune.MAX_TOKENS, sampling, listOfNotNull(given["stop"])) { piece ->
                print(piece)
                System.out.flush()
                true
            }
            println()
            println(
                JsonText.encode(
                    linkedMapOf(
                        "text" to found.text,
                        "ids" to found.ids,
                        "finish" to found.finish.name.lowercase(),
                        "prompt_seconds" to found.promptSeconds,
                        "seconds" to found.seconds,
                    ),
                ),
            )
        }
    } catch (error: SeedTuneException) {
        System.err.println(error.message)
        exitProcess(2)
    }
}
