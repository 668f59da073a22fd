import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.kotlin.jvm)
    alias(libs.plugins.kotlin.serialization)
}

kotlin {
    compilerOptions {
        jvmTarget = JvmTarget.JVM_1_8
        allWarningsAsErrors = true
        freeCompilerArgs.add("-Xjdk-release=1.8")
    }
}

java {
    sourceCompatibility = JavaVersion.VERSION_1_8
    targetCompatibility = JavaVersion.VERSION_1_8
}

dependencies {
    implementation(libs.kotlin.stdlib)
    implementation(libs.serialization.json)
    // The app brings the same classes with the phone's libraries.
    compileOnly(libs.onnxruntime)
    testImplementation(libs.onnxruntime)
    testImplementation(libs.junit)
    testImplementation(libs.binary.compatibility)
    testImplementation(libs.kotlin.metadata)
    testImplementation(libs.asm.tree)
}

tasks.test {
    systemProperty("seedtune.golden", providers.gradleProperty("seedtune.golden").getOrElse(""))
    systemProperty("seedtune.api", providers.gradleProperty("seedtune.api").getOrElse("check"))
}
