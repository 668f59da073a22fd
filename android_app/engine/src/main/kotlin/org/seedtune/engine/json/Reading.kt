package org.seedtune.engine.json

import java.io.File
import java.io.IOException
import kotlinx.serialization.SerializationException
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

/** The bytes of [file], which must be a plain file: a pipe might never say anything, and a device never end. */
internal fun readPlainFile(file: File, what: String, remedy: String): ByteArray = reading(file.path, "$what cannot be read", remedy) {
    if (file.exists() && !file.isFile) throw SeedTuneException("$what is no plain file", rule = "a plain file")
    file.readBytes()
}

/** [raw] as text; bytes that are no UTF-8 are an error rather than another text. */
internal fun utf8(raw: ByteArray): String = raw.decodeToString(throwOnInvalidSequence = true)
