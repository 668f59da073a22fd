"""What is in the APK, run without a phone: Android's own libraries of ONNX Runtime, and the APK's own bytecode.

The libraries are taken out of the APK and loaded as they are, to the byte: beside them lies a `libc.so` that has what
they ask of Android's C library, and hands it on to this machine's (`bionic.py`). The bytecode is the APK's classes.dex,
turned back into class files (`bytecode.py`). Libraries for ARM64 run in a JVM for ARM64 under user-mode emulation
(`arm64.py`). `apk_machine.py` puts them together; `python scripts/android` is the way in.

What this is not: Android's runtime (ART), its C library's own code, its services, its security policy, its speed.
"""
