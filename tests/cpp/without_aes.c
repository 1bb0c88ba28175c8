// Preloaded, it hides from a program that an Arm processor has AES: emulators have no model without it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/auxv.h>

unsigned long getauxval(unsigned long type) {
    static unsigned long (*system)(unsigned long);
    if (!system) *(void**)&system = dlsym(RTLD_NEXT, "getauxval");
    const unsigned long value = system(type);
    const unsigned long aes = 1 << 3, pmull = 1 << 4;  // of AT_HWCAP
    return type == AT_HWCAP ? value & ~(aes | pmull) : value;
}
