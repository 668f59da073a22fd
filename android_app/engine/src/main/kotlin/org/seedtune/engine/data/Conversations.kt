package org.seedtune.engine.data

import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.task.Task

/**
 * Rows of conversations, as chat models are commonly tuned on: `{"messages": [{"role": "user", "content": ...}, ...]}`. One message of
 * the user and the assistant's answer to it are the field of a completion task's prompt and that of its response; whatever else a
 * conversation has would be lost, so it is refused.
 */
internal object Conversations {
    private const val MESSAGES = "messages"

    /**
     * [record] with the fields of [task], where it is a conversation instead; else as it is.
     *
     * @param where names the row.
     * @param requireAnswer whether there is no row without the assistant's answer.
     * @throws SeedTuneException the conversation is none, or is not one message and its answer; or the task has several fields.
     */
    fun fieldsOf(record: JsonObject, task: Task, where: String, requireAnswer: Boolean): JsonObject {
        val fields = task.fields + task.responseFields
        val messages = record[MESSAGES]
        if (!task.completes || MESSAGES in fields || messages == null || fields.first() in record) return record
        if (task.fields.size != 1 || task.responseFields.size != 1) {
            throw SeedTuneException(
                "a conversation cannot be told apart into the fields of this task",
                where,
                fields.joinToString(),
                "one field in the prompt and one in the response",
                "write the fields into the row by name",
            )
        }
        val roles = (messages as? JsonArray)?.map(::role)
        if (roles != listOf(USER, ASSISTANT) && (requireAnswer || roles != listOf(USER))) {
            throw SeedTuneException(
                "this conversation is not one message and its answer",
                where,
                if (roles == null || null in roles) messages else roles.joinToString(),
                """[{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]""",
                "split longer conversations, and put what a system message says into the user's",
            )
        }
        return JsonObject(record + fields.zip((messages as JsonArray).map { (it as JsonObject).getValue(CONTENT) }))
    }

    private fun role(message: JsonElement): String? {
        val (role, content) = listOf(ROLE, CONTENT).map { (message as? JsonObject)?.get(it) as? JsonPrimitive }
        return role?.content.takeIf { role?.isString == true && content?.isString == true }
    }

    private const val ROLE = "role"
    private const val CONTENT = "content"
    private const val USER = "user"
    private const val ASSISTANT = "assistant"
}
