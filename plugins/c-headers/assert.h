// The little of <assert.h> that the grammar needs.
#ifdef __wasm__
#undef assert
#ifdef NDEBUG
#define assert(truth) ((void)0)
#else
#define assert(truth) ((truth) ? (void)0 : __builtin_trap())
#endif
#else
#include_next <assert.h>
#endif
