package org.seedtune.engine.json

import java.io.File
import java.io.IOException
import kotlinx.serialization.SerializationException
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.SeedTuneException

/**
 * What [parse] makes of the text of the file [path]: JSON that is none, lacks a part, has another in its place, holds a number out
 * of range or is nested without an end becomes an exception about [what].
 *
 * @throws SeedTuneException it cannot be used; what [parse] itself refuses is found in [path], too.
 */
internal fun <T> reading(path: String, what: String, remedy: String, parse: () -> T): T {
    fun refusal(error: Throwable) = SeedTuneException("$what (${error.message})", path, remedy = remedy, cause = error)
    return try {
        parse()
    } catch (error: SeedTuneException) {
        if (error.file != null) throw error
        throw SeedTuneException(error.what, path, error.value, error.rule, error.remedy ?: remedy, error)
    } catch (error: IOException) {
        throw refusal(error)
    } catch (error: SerializationException) {
        throw refusal(error)
    } catch (error: IllegalArgumentException) {
        throw refusal(error)
    } catch (error: IllegalStateException) {
        throw refusal(error)
    } catch (error: ArithmeticException) {
        throw refusal(error)
    } catch (error: IndexOutOfBoundsException) {
        throw refusal(error)
    } catch (error: NoSuchElementException) {
        throw refusal(error)
    } catch (error: ClassCastException) {
        throw refusal(error)
    } catch (error: StackOverflowError) {
        throw refusal(IllegalArgumentException("nested too deeply", error))
    }
}

/**
 * [text] as JSON. The library takes any bare word for a value, and numbers of more than 64 bits wrap where it makes whole ones of them:
 * both are refused here.
 *
 * @throws IllegalArgumentException it is none.
 */
internal fun parsed(text: String): JsonElement = Json.parseToJsonElement(text).also(::requireValues)

/** The whole number that this is. */
internal val JsonPrimitive.whole: Long
    get() {
        require(!isString) { "a text where a number belongs: $content" }
        return content.toLong()
    }

private fun requireValues(element: JsonElement) {
    when (element) {
        is JsonObject -> element.values.forEach(::requireValues)
        is JsonArray -> element.forEach(::requireValues)
        is JsonPrimitive -> {
            val content = element.content
            val isValue = element.isString || element is JsonNull || content == "true" || content == "false" || NUMBER.matches(content)
            require(isValue && (element.isString || WHOLE_BEYOND_64_BITS.matches(content).not())) { "no value of JSON: ${content.take(SHOWN)}" }
        }
    }
}

private const val SHOWN = 40
private val NUMBER = Regex("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")
private val WHOLE_BEYOND_64_BITS = Regex("-?[0-9]{19,}")

/** The bytes of [file], which must be a plain file: a pipe might never say anything, and a device never end. */
internal fun readPlainFile(file: File, what: String, remedy: String): ByteArray = reading(file.path, "$what cannot be read", remedy) {
    if (file.exists() && !file.isFile) throw SeedTuneException("$what is no plain file", rule = "a plain file")
    file.readBytes()
}

/** [raw] as text; bytes that are no UTF-8 are an error rather than another text. */
internal fun utf8(raw: ByteArray): String = raw.decodeToString(throwOnInvalidSequence = true)
