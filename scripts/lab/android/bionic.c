/*
 * What ONNX Runtime's libraries for Android ask of Android's C library, where glibc has nothing of that name, or means
 * something else by it. All other names are handed on by bionic.py. EXPORT gives a function the name and the symbol
 * version that the libraries ask for; glibc's own are of other versions, so neither is taken for the other.
 *
 * Sizes and numbers are those of 64-bit Android, the same on ARM and x86 (bionic's headers: bits/pthread_types.h,
 * bits/sysconf.h, stdio.h, signal_types.h).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define PUBLIC __attribute__((visibility("default"), used))
#define EXPORT(name) __asm__(".symver bionic_" #name ", " #name "@LIBC")

/*
 * Android's compilers keep the stack protector's value 40 bytes behind the thread pointer, on ARM64 too, where glibc has
 * the first library's thread-local variables. Preloaded, this library is the first, and nobody writes here.
 */
PUBLIC __thread char bionic_stack_guard[64] __attribute__((aligned(16)));

/* Standard streams: pointers since Android 6, places in an array before; libraries built for either are served. */
#define BIONIC_FILE_BYTES 152
EXPORT(__sF);
PUBLIC char bionic___sF[3 * BIONIC_FILE_BYTES];
EXPORT(stdin);
EXPORT(stdout);
EXPORT(stderr);
PUBLIC FILE *bionic_stdin, *bionic_stdout, *bionic_stderr;

__attribute__((constructor)) static void open_streams(void) {
    bionic_stdin = stdin;
    bionic_stdout = stdout;
    bionic_stderr = stderr;
}

static FILE *stream(void *given) {
    char *place = given;
    if (place < bionic___sF || place >= bionic___sF + sizeof bionic___sF) return given;
    size_t index = (place - bionic___sF) / BIONIC_FILE_BYTES;
    return index == 0 ? stdin : index == 1 ? stdout : stderr;
}

EXPORT(fflush);
PUBLIC int bionic_fflush(void *file) { return fflush(file ? stream(file) : NULL); }
EXPORT(fwrite);
PUBLIC size_t bionic_fwrite(const void *from, size_t size, size_t count, void *file) {
    return fwrite(from, size, count, stream(file));
}
EXPORT(vfprintf);
PUBLIC int bionic_vfprintf(void *file, const char *format, va_list values) {
    return vfprintf(stream(file), format, values);
}
EXPORT(fprintf);
PUBLIC int bionic_fprintf(void *file, const char *format, ...) {
    va_list values;
    va_start(values, format);
    int written = vfprintf(stream(file), format, values);
    va_end(values);
    return written;
}
EXPORT(fputc);
PUBLIC int bionic_fputc(int character, void *file) { return fputc(character, stream(file)); }
EXPORT(fputs);
PUBLIC int bionic_fputs(const char *text, void *file) { return fputs(text, stream(file)); }
EXPORT(fputwc);
PUBLIC wint_t bionic_fputwc(wchar_t character, void *file) { return fputwc(character, stream(file)); }
EXPORT(getc);
PUBLIC int bionic_getc(void *file) { return getc(stream(file)); }
EXPORT(ungetc);
PUBLIC int bionic_ungetc(int character, void *file) { return ungetc(character, stream(file)); }
EXPORT(getwc);
PUBLIC wint_t bionic_getwc(void *file) { return getwc(stream(file)); }
EXPORT(ungetwc);
PUBLIC wint_t bionic_ungetwc(wint_t character, void *file) { return ungetwc(character, stream(file)); }

/* Errors, and what is told of them. */
EXPORT(__errno);
PUBLIC int *bionic___errno(void) { return &errno; }
EXPORT(__gnu_strerror_r);
PUBLIC char *bionic___gnu_strerror_r(int error, char *buffer, size_t size) { return strerror_r(error, buffer, size); }
extern int __xpg_strerror_r(int error, char *buffer, size_t size);
EXPORT(strerror_r);
PUBLIC int bionic_strerror_r(int error, char *buffer, size_t size) { return __xpg_strerror_r(error, buffer, size); }
EXPORT(__strlen_chk);
PUBLIC size_t bionic___strlen_chk(const char *text, size_t size) { (void)size; return strlen(text); }
EXPORT(android_set_abort_message);
PUBLIC void bionic_android_set_abort_message(const char *message) { fprintf(stderr, "abort: %s\n", message); }

/* Android's log, on standard error. Its library has no symbol versions. */
PUBLIC int __android_log_vprint(int priority, const char *tag, const char *format, va_list values) {
    fprintf(stderr, "android log %d %s: ", priority, tag);
    vfprintf(stderr, format, values);
    return fputc('\n', stderr) < 0 ? -1 : 1;
}
PUBLIC int __android_log_print(int priority, const char *tag, const char *format, ...) {
    va_list values;
    va_start(values, format);
    int written = __android_log_vprint(priority, tag, format, values);
    va_end(values);
    return written;
}
PUBLIC int __android_log_write(int priority, const char *tag, const char *message) {
    return __android_log_print(priority, tag, "%s", message);
}

/* The system: no property is set, and what sysconf and pathconf are asked for has other numbers. */
EXPORT(__system_property_get);
PUBLIC int bionic___system_property_get(const char *name, char *value) { (void)name; *value = 0; return 0; }
EXPORT(sysconf);
PUBLIC long bionic_sysconf(int name) {
    switch (name) {
        case 0x27: case 0x28: return sysconf(_SC_PAGESIZE);
        case 0x60: return sysconf(_SC_NPROCESSORS_CONF);
        case 0x61: return sysconf(_SC_NPROCESSORS_ONLN);
        case 0x62: return sysconf(_SC_PHYS_PAGES);
        case 0x63: return sysconf(_SC_AVPHYS_PAGES);
    }
    fprintf(stderr, "sysconf: what Android calls %d is not known here\n", name);
    errno = EINVAL;
    return -1;
}
EXPORT(pathconf);
PUBLIC long bionic_pathconf(const char *path, int name) {
    if (name == 5) return pathconf(path, _PC_PATH_MAX);
    errno = EINVAL;
    return -1;
}
/* Deletes folders of models that were compiled for other processors; flags and kinds have other numbers. */
EXPORT(nftw);
PUBLIC int bionic_nftw(void) { errno = ENOSYS; return -1; }

/* Mutexes have 40 bytes there and up to 48 here, of which 40 are used; attributes of threads 56, here up to 64. */
#define BIONIC_MUTEX_BYTES 40
#define BIONIC_ATTRIBUTES_BYTES 56
EXPORT(pthread_mutex_init);
PUBLIC int bionic_pthread_mutex_init(void *mutex, const pthread_mutexattr_t *attributes) {
    pthread_mutex_t made;
    int error = pthread_mutex_init(&made, attributes);
    if (!error) memcpy(mutex, &made, BIONIC_MUTEX_BYTES);
    return error;
}
EXPORT(pthread_attr_init);
PUBLIC int bionic_pthread_attr_init(void *attributes) { memset(attributes, 0, BIONIC_ATTRIBUTES_BYTES); return 0; }
EXPORT(pthread_attr_setstacksize);
PUBLIC int bionic_pthread_attr_setstacksize(size_t *attributes, size_t size) { *attributes = size; return 0; }
EXPORT(pthread_create);
PUBLIC int bionic_pthread_create(pthread_t *thread, const size_t *given, void *(*start)(void *), void *argument) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (given && *given) pthread_attr_setstacksize(&attributes, *given);
    int error = pthread_create(thread, &attributes, start, argument);
    pthread_attr_destroy(&attributes);
    return error;
}

/* Sets of signals have 8 bytes there, 128 here. */
#define BIONIC_SIGNALS_BYTES 8
EXPORT(sigfillset);
PUBLIC int bionic_sigfillset(void *set) { memset(set, 0xff, BIONIC_SIGNALS_BYTES); return 0; }
EXPORT(pthread_sigmask);
PUBLIC int bionic_pthread_sigmask(int how, const void *set, void *previous) {
    sigset_t wanted, before;
    if (set) {
        sigemptyset(&wanted);
        memcpy(&wanted, set, BIONIC_SIGNALS_BYTES);
    }
    int error = pthread_sigmask(how, set ? &wanted : NULL, &before);
    if (previous && !error) memcpy(previous, &before, BIONIC_SIGNALS_BYTES);
    return error;
}
