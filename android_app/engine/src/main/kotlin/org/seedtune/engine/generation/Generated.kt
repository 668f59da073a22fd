package org.seedtune.engine.generation

/** Why a text ended: by the model or a stop text, by the number of tokens, or because whoever listens said so. */
enum class Finish { STOP, LENGTH, CANCELLED }

/**
 * A text that a model went on with.
 *
 * @property text without the token or the stop text that ended it.
 * @property ids its tokens.
 * @property promptIds those of the prompt.
 * @property promptSeconds what reading the prompt took.
 * @property seconds what choosing and reading the text's tokens took, without what whoever listens did meanwhile.
 */
class Generated(
    val text: String, val ids: List<Int>, val promptIds: List<Int>, val finish: Finish, val promptSeconds: Double, val seconds: Double,
)
