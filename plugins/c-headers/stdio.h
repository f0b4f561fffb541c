// The little of <stdio.h> that the grammar needs. In the sandbox nobody reads
// what a parser would log, so it prints nothing, and no printf is linked.
#ifdef __wasm__
#pragma once
#include <stdarg.h>
#include <stddef.h>
typedef struct nothing FILE;
#define stderr ((FILE *)0)
static inline FILE *fdopen(int number, const char *mode) { return (FILE *)0; }
static inline int fclose(FILE *file) { return 0; }
static inline int fputc(int character, FILE *file) { return character; }
static inline int fputs(const char *text, FILE *file) { return 0; }
static inline int fprintf(FILE *file, const char *format, ...) { return 0; }
static inline int vsnprintf(char *to, size_t size, const char *format, va_list values) {
  if (size) *to = 0;
  return 0;
}
static inline int snprintf(char *to, size_t size, const char *format, ...) {
  if (size) *to = 0;
  return 0;
}
#else
#include_next <stdio.h>
#endif
