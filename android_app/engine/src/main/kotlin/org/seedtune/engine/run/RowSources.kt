package org.seedtune.engine.run

import java.io.File
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.context.Contexts
import org.seedtune.engine.context.SuffixRows
import org.seedtune.engine.data.Example
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.data.WholeRows
import org.seedtune.engine.graph.Graphs

/**
 * Where rows are from.
 *
 * @property name of the split, which its cache is called by.
 * @property rows null where nobody knows.
 * @property contexts a folder of caches that were made elsewhere.
 * @property cache that of the cache that this device keeps.
 */
internal class Source(val name: String, val rows: Split?, val contexts: File?, val cache: File? = null)

/** Rows of a bundle as its graphs read them: whole, or split, with what is kept of their contexts. */
internal class RowSources(private val bundle: Bundle, private val caches: Caches) {
    /**
     * What [use] makes of [examples], whose contexts are there by then.
     *
     * @param tell hears how many contexts are made.
     * @throws SeedTuneException contexts are in no cache, and cannot be computed here.
     */
    fun <T> feeding(
        graphs: Graphs,
        examples: List<Example>,
        source: Source,
        tell: (TuningEvent) -> Unit = {},
        use: (Feeder) -> T,
    ): T {
        val objective = bundle.manifest.languageModel
        val paddingId = objective.model.paddingId
        val layout = objective.context ?: return use(WholeRows(examples, paddingId))
        return contexts(graphs, examples, source).use { contexts ->
            caches.requireAll(contexts, examples.size, source.name, source.rows, source.contexts ?: source.cache)
            contexts.build { done, of -> tell(TuningEvent.CachingContexts(done, of)) }
            use(SuffixRows(examples, paddingId, layout, contexts, graphs.contextTokensPerCall))
        }
    }

    private fun contexts(graphs: Graphs, examples: List<Example>, source: Source): Contexts {
        val file = source.cache?.takeIf { examples.isNotEmpty() && bundle.computesContexts }?.let { caches.file(it, source.name) }
        // A cache of this device is read even where nothing can be added to it.
        val read = caches.files(source.contexts) + if (bundle.computesContexts) emptyList() else caches.files(source.cache)
        return Contexts(bundle, examples, file, graphs, read)
    }
}
