plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "org.seedtune.app"
    compileSdk = 34

    defaultConfig {
        applicationId = "org.seedtune.app"
        minSdk = 26
        targetSdk = 34
        versionCode = providers.exec { commandLine("git", "rev-list", "--count", "HEAD") }.standardOutput.asText.get().trim().toInt()
        versionName = "0.1.0"
        ndk { abiFilters += "arm64-v8a" }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }

    kotlinOptions {
        jvmTarget = "1.8"
        allWarningsAsErrors = true
    }

    testOptions { unitTests.isIncludeAndroidResources = true }
}

dependencies {
    implementation(project(":engine"))
    implementation(libs.onnxruntime.android)
    testImplementation(libs.serialization.json)
    testImplementation(libs.onnxruntime)
    testImplementation(libs.junit)
    testImplementation(libs.robolectric)
}
