package org.seedtune.engine

import java.io.File
import kotlinx.serialization.json.JsonPrimitive
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.seedtune.engine.json.JsonText
import org.seedtune.engine.run.Settings
import org.seedtune.engine.tuning.estimator.EstimatorSettings
import org.seedtune.engine.tuning.estimator.GaussNewtonSettings
import org.seedtune.engine.tuning.estimator.GradientSettings
import org.seedtune.engine.tuning.estimator.OneSidedSettings
import org.seedtune.engine.tuning.estimator.TwoSidedSettings
import org.seedtune.engine.tuning.optimizer.AdamWSettings
import org.seedtune.engine.tuning.optimizer.DampedSettings
import org.seedtune.engine.tuning.optimizer.MomentumSettings
import org.seedtune.engine.tuning.optimizer.NormalisedSettings
import org.seedtune.engine.tuning.optimizer.OptimizerSettings
import org.seedtune.engine.tuning.optimizer.StandardisedSettings

class SettingsTest {
    private val momentum = Settings(
        steps = 9,
        batchSize = 4,
        seed = 4_294_967_295,
        evalEvery = 3,
        rowsPerCall = 200,
        start = "zero",
        estimator = TwoSidedSettings(epsilon = 0.5),
        optimizer = MomentumSettings(0.25, "cosine", 0.75, 2.0, 0.5, 0.25),
    )

    @Test
    fun `settings are flat in files, in the order of the format`() {
        assertEquals(
            """{"steps":300,"batch_size":32,"seed":0,"eval_every":50,"rows_per_call":0,"start":"linear-probe","estimator.kind":"two_sided","estimator.epsilon":0.01,"estimator.objective":"loss",""" +
                """"optimizer.kind":"normalised","optimizer.learning_rate":0.03,"optimizer.schedule":"linear","optimizer.rms_decay":0.98,"optimizer.clip":3.0,""" +
                """"optimizer.average":0.0}""",
            JsonText.encode(Settings().asMap()),
        )
        assertEquals(
            """{"steps":9,"batch_size":4,"seed":4294967295,"eval_every":3,"rows_per_call":200,"start":"zero","estimator.kind":"two_sided","estimator.epsilon":0.5,"estimator.objective":"loss",""" +
                """"optimizer.kind":"momentum","optimizer.learning_rate":0.25,"optimizer.schedule":"cosine","optimizer.rms_decay":0.75,""" +
                """"optimizer.clip":2.0,"optimizer.momentum":0.5,"optimizer.average":0.25}""",
            JsonText.encode(momentum.asMap()),
        )
        for (settings in listOf(Settings(), momentum)) assertEquals(settings, Settings.of(settings.asMap()))
    }

    @Test
    fun `an estimator brings what goes with it, as Python's settings do`() {
        assertEquals(Settings(), Settings.by(EstimatorSettings.named("two_sided")))
        val along = Settings.by(EstimatorSettings.named("gradient"))
        assertEquals(Settings(batchSize = 16, estimator = GradientSettings, optimizer = AdamWSettings()), along)
        assertEquals(
            """{"steps":300,"batch_size":16,"seed":0,"eval_every":50,"rows_per_call":0,"start":"linear-probe","estimator.kind":"gradient",""" +
                """"optimizer.kind":"adamw","optimizer.learning_rate":0.002,"optimizer.schedule":"linear","optimizer.beta1":0.9,""" +
                """"optimizer.beta2":0.999,"optimizer.weight_decay":0.01,"optimizer.clip_norm":1.0}""",
            JsonText.encode(along.asMap()),
        )
        assertEquals(along, Settings.of(along.asMap()))
    }

    @Test
    fun `an optimizer that does not go with the estimator is refused by name`() {
        val apart = listOf(
            Settings(optimizer = AdamWSettings()) to "normalised or momentum",
            Settings(optimizer = DampedSettings()) to "normalised or momentum",
            Settings(estimator = GradientSettings) to "adamw",
        )
        for ((settings, rule) in apart) {
            val error = refused { settings.check() }
            assertEquals("this optimizer does not go with this estimator", error.what)
            assertEquals(rule, error.rule)
            assertThrows(SeedTuneException::class.java) { Settings.of(settings.asMap()) }
        }
    }

    @Test
    fun `a kind that is not known is refused by name`() {
        val known = mapOf(
            "estimator.kind" to listOf("two_sided", "gauss_newton", "one_sided", "gradient"),
            "optimizer.kind" to listOf("normalised", "momentum", "standardised", "damped", "adamw"),
        )
        for ((key, kinds) in known) {
            val error = refused { Settings.of(momentum.asMap() + (key to JsonPrimitive("nesterov")), File("journal.bin")) }
            assertTrue(error.what, key in error.what)
            assertEquals("nesterov", error.value)
            assertEquals(kinds.joinToString(), error.rule)
            assertEquals("journal.bin", error.file)
            assertTrue(error.remedy!!.isNotEmpty())
        }
        assertEquals("adam", refused { OptimizerSettings.named("adam") }.value)
        assertEquals("slope", refused { EstimatorSettings.named("slope") }.value)
    }

    @Test
    fun `a kind is known by its name`() {
        assertEquals(NormalisedSettings(), OptimizerSettings.named("normalised"))
        assertEquals(MomentumSettings(momentum = 0.9), OptimizerSettings.named("momentum"))
    }

    @Test
    fun `one setting too few, one too many or one that is no number is refused by name`() {
        for (key in momentum.asMap().keys - LATER) {
            assertTrue(key, key in refused { Settings.of(momentum.asMap() - key) }.message!!)
        }
        val more = refused { Settings.of(Settings().asMap() + ("optimizer.momentum" to JsonPrimitive(0.9))) }
        assertEquals("optimizer.momentum", more.value)
        for (key in momentum.asMap().keys.filterNot { it.endsWith("kind") || it.endsWith("objective") }) {
            val error = refused { Settings.of(momentum.asMap() + (key to JsonPrimitive("many"))) }
            assertTrue(key, key in error.what)
            assertEquals("many", error.value)
        }
        for (number in listOf("1.5", "3000000000")) refused { Settings.of(momentum.asMap() + ("steps" to JsonPrimitive(number))) }
    }

    @Test
    fun `what journals did not have before is what they did before`() {
        assertEquals(Settings(), Settings.of(Settings().asMap() - LATER))
        assertEquals(Settings(optimizer = MomentumSettings()), Settings.of(Settings(optimizer = MomentumSettings()).asMap() - LATER))
    }

    @Test
    fun `settings of runs that are only replayed are read, and no run of them is made`() {
        val replayed = listOf(
            Settings(estimator = GaussNewtonSettings(0.5, 12), optimizer = DampedSettings(0.5, "cosine", 0.5)) to "gauss_newton",
            Settings(estimator = OneSidedSettings(0.5, 3), optimizer = StandardisedSettings(0.5, "constant", 0.5)) to "one_sided",
            Settings(estimator = OneSidedSettings(), optimizer = NormalisedSettings()) to "one_sided",
            Settings(estimator = TwoSidedSettings(objective = "f1")) to "f1",
        )
        for ((settings, named) in replayed) {
            assertEquals(settings, Settings.of(settings.asMap()))
            val error = refused { settings.requireMade() }
            assertTrue(named, named in error.value.toString())
            assertTrue("Python" in error.remedy!!)
        }
        Settings().requireMade()
        momentum.requireMade()
        for (kind in listOf("standardised", "damped")) assertEquals(kind, refused { OptimizerSettings.named(kind) }.value)
    }

    @Test
    fun `values beyond their bounds are refused, those at them are not`() {
        fun normalised(change: (NormalisedSettings) -> NormalisedSettings) = Settings(optimizer = change(NormalisedSettings()))
        fun along(change: (AdamWSettings) -> AdamWSettings) = Settings(estimator = GradientSettings, optimizer = change(AdamWSettings()))
        val beyond = mapOf(
            "steps" to listOf(Settings(steps = 0)),
            "batch_size" to listOf(Settings(batchSize = 0)),
            "eval_every" to listOf(Settings(evalEvery = 0)),
            "rows_per_call" to listOf(Settings(rowsPerCall = -1)),
            "start" to listOf(Settings(start = "probe")),
            "seed" to listOf(Settings(seed = -1), Settings(seed = 1L shl 32)),
            "estimator.epsilon" to listOf(0.0, -1.0, Double.NaN, Double.POSITIVE_INFINITY).map { Settings(estimator = TwoSidedSettings(it)) },
            "optimizer.learning_rate" to listOf(0.0, Double.NaN, Double.POSITIVE_INFINITY).map { rate -> normalised { it.copy(learningRate = rate) } },
            "optimizer.clip" to listOf(0.0, Double.NaN).map { clip -> normalised { it.copy(clip = clip) } },
            "optimizer.rms_decay" to listOf(0.0, 1.0, Double.NaN).map { decay -> normalised { it.copy(rmsDecay = decay) } },
            "optimizer.beta1" to listOf(-0.1, 1.0, Double.NaN).map { beta -> along { it.copy(beta1 = beta) } },
            "optimizer.beta2" to listOf(-0.1, 1.0, Double.NaN).map { beta -> along { it.copy(beta2 = beta) } },
            "optimizer.weight_decay" to listOf(-0.1, Double.NaN, Double.POSITIVE_INFINITY).map { decay -> along { it.copy(weightDecay = decay) } },
            "optimizer.clip_norm" to listOf(0.0, Double.NaN, Double.POSITIVE_INFINITY).map { norm -> along { it.copy(clipNorm = norm) } },
            "optimizer.schedule" to listOf(normalised { it.copy(schedule = "quadratic") }, Settings(optimizer = MomentumSettings(schedule = ""))),
            "optimizer.average" to listOf(-0.1, 1.1, Double.NaN).map { average -> normalised { it.copy(average = average) } },
            "estimator.objective" to listOf(Settings(estimator = TwoSidedSettings(objective = "recall"))),
            "estimator.directions" to listOf(1, 1 shl 17).map { Settings(estimator = OneSidedSettings(directions = it)) },
            "optimizer.momentum" to listOf(-0.1, 1.0, Double.NaN).map { Settings(optimizer = MomentumSettings(momentum = it)) },
        )
        for ((name, all) in beyond) {
            for (settings in all) {
                assertEquals("$name is out of range", refused { settings.check() }.what)
                assertThrows(name, SeedTuneException::class.java) { Settings.of(settings.asMap()) }
            }
        }
        Settings(steps = 1, batchSize = 1, evalEvery = 1, seed = (1L shl 32) - 1, optimizer = MomentumSettings(momentum = 0.0)).check()
    }

    private companion object {
        /** What journals of earlier versions lack. */
        val LATER = setOf("estimator.objective", "optimizer.average")
    }
}
