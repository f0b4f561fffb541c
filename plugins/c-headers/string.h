// The little of <string.h> that the grammar needs.
#ifdef __wasm__
#pragma once
#include <stddef.h>
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *left, const void *right, size_t size);
int strcmp(const char *left, const char *right);
int strncmp(const char *left, const char *right, size_t size);
size_t strlen(const char *text);
#else
#include_next <string.h>
#endif
