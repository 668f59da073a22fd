package org.seedtune.engine.generation

import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.Decoding
import org.seedtune.engine.task.CompiledTask
import org.seedtune.engine.task.PromptIds

/**
 * What a model is asked to go on with. A conversation through the model's own chat template is not among them: such templates are
 * programs (Jinja), which this engine does not run. A bundle of the task "chat" has its template rendered, and takes a [Row].
 */
sealed interface Prompt {
    /** A row of the task, the text of each field by its name, through the task's template. */
    data class Row(val fields: Map<String, String>) : Prompt

    /** A text as it is, with the special tokens that it spells, behind those that the tokenizer puts in front. */
    data class Raw(val text: String) : Prompt
}

/**
 * The tokens of [prompt], and from which of them on a state acts.
 *
 * @throws SeedTuneException it is empty, a field is missing, there is no room for a token behind it, or it has a token that is special
 * or that the embedding lacks.
 */
internal fun CompiledTask.idsOf(prompt: Prompt, decoding: Decoding): PromptIds {
    val found = when (prompt) {
        is Prompt.Row -> {
            if (task.fields.any { prompt.fields[it]?.isBlank() == true }) throw empty("a field of the prompt is empty")
            prompt(prompt.fields)
        }
        is Prompt.Raw -> {
            if (prompt.text.isEmpty()) throw empty("the prompt is empty")
            rawPrompt(prompt.text)
        }
    }
    if (found.ids.isEmpty()) throw empty("the prompt has no tokens")
    if (found.ids.size >= decoding.maxTokens) {
        throw SeedTuneException(
            "the prompt is longer than the model takes",
            value = "${found.ids.size} tokens",
            rule = "at most ${decoding.maxTokens - 1}, and one to generate",
            remedy = "shorten it",
        )
    }
    return PromptIds(found.ids, minOf(found.firstPlace, found.ids.size - 1))
}

private fun empty(what: String) = SeedTuneException(what, rule = "some text", remedy = "say something")
