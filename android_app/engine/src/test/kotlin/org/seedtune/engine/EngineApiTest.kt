package org.seedtune.engine

import java.io.File
import kotlinx.validation.api.dump
import kotlinx.validation.api.filterOutNonPublic
import kotlinx.validation.api.loadApiFromJvmClasses
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

/**
 * What the engine offers, as `engine.api` lists it: whoever changes it sees it in the change. The file is written anew by
 *
 *     mvn -f android_app/pom.xml -pl engine clean test -Dtest=EngineApiTest -Dseedtune.api=write
 *
 * (`clean`, because the classes of a file that was deleted stay where they were compiled to.)
 */
class EngineApiTest {
    private fun offered(): String {
        val classes = File(SeedTune::class.java.protectionDomain.codeSource.location.toURI())
        // What serialization generates follows from the class that it is for.
        val files = classes.walk().filter { it.extension == "class" && !it.name.endsWith("\$\$serializer.class") }.sortedBy { it.path }
        val found = files.map { it.inputStream() }.loadApiFromJvmClasses()
        return found.filterOutNonPublic().dump(StringBuilder()).toString()
    }

    @Test
    fun `the engine offers what its list says`() {
        val list = File("engine.api")
        val offered = offered()
        assertTrue("org/seedtune/engine/SeedTune " in offered)
        if (System.getProperty("seedtune.api") == "write") list.writeText(offered)
        assertEquals("engine.api lists something else; if that is wanted, write it anew as this test says", list.readText(), offered)
    }
}
