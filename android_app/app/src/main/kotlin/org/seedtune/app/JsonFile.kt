package org.seedtune.app

import java.io.File
import java.io.IOException
import org.json.JSONException
import org.json.JSONObject

/** The object that [file] holds; null where there is none, or it cannot be read: whoever edited such a file loses what it said. */
internal fun readJsonObject(file: File): JSONObject? =
    try {
        if (file.isFile) JSONObject(file.readText()) else null
    } catch (_: JSONException) {
        null
    } catch (_: IOException) {
        null
    }
