package org.seedtune.app

import android.app.Activity
import android.os.Bundle
import android.widget.ArrayAdapter
import android.widget.ListView
import java.io.FileNotFoundException

/** The licences of what the app is made of, as the build has put them into it: thousands of lines, of which a screenful is laid out. */
class LicencesActivity : Activity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.licences)
        show(
            try {
                assets.open(ASSET).use { it.readBytes().decodeToString() }
            } catch (_: FileNotFoundException) {
                getString(R.string.licences_missing)
            },
        )
    }

    /** Shows [text], part by part. */
    internal fun show(text: String) {
        findViewById<ListView>(R.id.licences_list).adapter = ArrayAdapter(this, R.layout.licence, R.id.licence_text, paragraphs(text))
    }

    companion object {
        /** In the assets of the APK. */
        const val ASSET = "licences.txt"
        private val EMPTY_LINES = Regex("\\n(?:[ \\t]*\\n)+")
        private val RULES = Regex("[-=*_ \\t]*")

        /** [text] where empty lines part it, without lines that are only rules. */
        internal fun paragraphs(text: String): List<String> =
            text.replace("\r\n", "\n").split(EMPTY_LINES)
                .map { part -> part.lineSequence().filterNot(RULES::matches).joinToString("\n").trim('\n') }.filter { it.isNotBlank() }
    }
}
