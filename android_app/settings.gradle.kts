// For Android Studio. The project's own build is Maven (../scripts/build_apk); tests/engine/test_gradle.py holds both to the
// same sources, versions and SDK levels. Nobody has run this one yet.
pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}

dependencyResolutionManagement {
    repositoriesMode = RepositoriesMode.FAIL_ON_PROJECT_REPOS
    repositories {
        google()
        mavenCentral()
    }
}

rootProject.name = "seedtune"
include(":engine", ":app")
