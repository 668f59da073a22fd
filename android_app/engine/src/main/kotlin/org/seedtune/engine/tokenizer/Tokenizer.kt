package org.seedtune.engine.tokenizer

import java.io.File
import java.io.IOException
import kotlinx.serialization.SerializationException
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.json.parsed

/**
 * A tokenizer as `tokenizer.json` describes it: byte-level BPE and WordPiece, with what surrounds them.
 *
 * It is smaller than the Rust library that wrote the file: one text at a time, no pairs, no padding, no training. And it
 * reads special tokens in a text as plain text, always: text of a row must not become one, so neither added tokens nor
 * the model find them. Those that a template asks for are given as [extra] tokens.
 *
 * @param extra tokens to find beside those of the file, each at the id it is to have.
 */
internal class Tokenizer internal constructor(private val parts: Parts, extra: List<AddedToken> = emptyList()) {
    internal class Parts(
        val added: List<AddedToken>,
        val normalizer: Normalizer,
        val preTokenizer: PreTokenizer,
        val model: TokenModel,
        val processor: PostProcessor,
        val decoder: Lazy<TextDecoder>,
    )

    private val raw: AddedTokens
    private val normalized: AddedTokens

    init {
        val found = parts.added.filterNot { it.special } + extra
        raw = AddedTokens(found.filterNot { it.normalized })
        normalized = AddedTokens(found.filter { it.normalized })
    }

    /** The special tokens of the file by their text. */
    internal val special: Map<String, AddedToken> = parts.added.filter { it.special }.associateBy { it.content }

    /** Ids that text must not become: those of [special] but for the unknown token, which stands for what the vocabulary lacks. */
    internal val refusedIds: Set<Int> = special.values.mapTo(HashSet()) { it.id } - setOfNotNull(parts.model.unknownId)

    internal fun with(extra: List<AddedToken>) = Tokenizer(parts, extra)

    /** Special tokens that stand before every row. */
    val before: List<Int> get() = parts.processor.before

    /** Special tokens that stand behind every row. */
    val behind: List<Int> get() = parts.processor.behind

    /** How the tokens that have a text are spelled, by id; made at its first use, since tuning makes no text. */
    private val pieces: Map<Int, String> by lazy {
        val pieces = HashMap<Int, String>()
        for ((piece, id) in parts.model.vocabulary) pieces[id] = piece
        for (token in parts.added) pieces[token.id] = token.content
        // The library goes by what a token spells, not by its id.
        pieces.apply { values.removeAll(special.keys) }
    }

    /** The ids of [text] without special tokens around it. */
    fun plainIds(text: String): IntArray = tokens(text).map { it.id }.toIntArray()

    /** The ids of [text] with the special tokens around it. */
    fun ids(text: String): IntArray = (before + tokens(text).map { it.id } + behind).toIntArray()

    /** Where the text of each token ends, in code points of [text]; several tokens may share one character. */
    fun ends(text: String): IntArray = tokens(text).map { it.end }.toIntArray()

    /** The tokens of [text] without special tokens around it. */
    internal fun tokens(text: String): List<Token> = raw.split(Piece.of(text)).flatMap { stretch ->
        if (stretch.token != null) listOf(tokenOf(stretch)) else ordinary(parts.normalizer.normalize(stretch.piece))
    }

    private fun ordinary(piece: Piece): List<Token> = normalized.split(piece).flatMap { stretch ->
        if (stretch.token != null) listOf(tokenOf(stretch)) else parts.preTokenizer.split(stretch.piece).flatMap(parts.model::tokens)
    }

    private fun tokenOf(stretch: Stretch) = Token(stretch.token!!.id, stretch.piece.ends.last(), stretch.token)

    /**
     * The text of [ids], of which special tokens and those that nothing spells have none.
     *
     * @throws SeedTuneException the tokenizer makes text of tokens in a way that this engine does not have.
     */
    fun text(ids: List<Int>): String = parts.decoder.value.text(ids.mapNotNull { pieces[it] })

    companion object {
        /**
         * Reads `tokenizer.json`.
         *
         * @throws SeedTuneException it cannot be read, or uses a part that this engine does not have.
         */
        fun open(file: File): Tokenizer =
            try {
                parse(file.readText())
            } catch (error: IOException) {
                throw SeedTuneException("the tokenizer cannot be read (${error.message})", file.path, cause = error)
            } catch (error: SeedTuneException) {
                throw SeedTuneException(error.what, file.path, error.value, error.rule, error.remedy, error)
            }

        /** The tokenizer that [text], the content of a `tokenizer.json`, describes; errors as [open]. */
        fun parse(text: String): Tokenizer =
            try {
                val fields = parsed(text).jsonObject
                val added = AddedToken.parseAll(fields["added_tokens"] as? JsonArray)
                val special = added.filter { it.special }.mapTo(HashSet()) { it.content }
                Tokenizer(
                    Parts(
                        added,
                        Normalizers.parse(fields["normalizer"]),
                        PreTokenizers.parse(fields["pre_tokenizer"]),
                        TokenModels.parse(fields.getValue("model").jsonObject, special),
                        PostProcessor.parse(fields["post_processor"]),
                        // Asked for when text is made: tokenizers that only read may have one that is not known.
                        lazy { TextDecoder.parse(fields["decoder"]) },
                    ),
                )
            } catch (error: SerializationException) {
                throw damaged(error)
            } catch (error: IllegalArgumentException) {
                throw damaged(error)
            } catch (error: NoSuchElementException) {
                throw damaged(error)
            } catch (error: ClassCastException) {
                throw damaged(error)
            }

        private fun damaged(error: Exception) =
            SeedTuneException("the tokenizer does not follow its format (${error.message})", remedy = "export the bundle again", cause = error)
    }
}

internal fun unsupported(part: String, value: String) =
    SeedTuneException(
        "the tokenizer has a $part that this engine does not know",
        value = value,
        rule = "byte-level BPE or WordPiece, as GPT-2, Llama 3, Qwen, OPT, RoBERTa and BERT have them",
        remedy = "choose another model",
    )

internal fun JsonObject.text(name: String): String = getValue(name).jsonPrimitive.content

internal fun JsonObject.textOrNull(name: String): String? =
    this[name]?.takeUnless { it is JsonNull }?.jsonPrimitive?.content

internal fun JsonObject.flag(name: String, default: Boolean): Boolean =
    this[name]?.takeUnless { it is JsonNull }?.jsonPrimitive?.boolean ?: default
