// The little of <stdlib.h> that the grammar needs.
#ifdef __wasm__
#pragma once
#include <stddef.h>
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *memory, size_t size);
void free(void *memory);
_Noreturn void abort(void);
#else
#include_next <stdlib.h>
#endif
