// Rounding mode and treatment of subnormal numbers, as a processor has them for each thread. A thread that helps takes
// over those of its caller, so that results do not depend on who computed what.
#pragma once

#include <cfenv>
#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace fastnorm {

#if defined(__x86_64__) || defined(_M_X64)
using FloatMode = unsigned;
constexpr FloatMode kRaised = 0x3F;  // not a mode: which exceptions have been

inline FloatMode float_mode() { return _mm_getcsr() & ~kRaised; }
inline void set_float_mode(FloatMode mode) { _mm_setcsr(mode | (_mm_getcsr() & kRaised)); }
inline bool is_same(FloatMode a, FloatMode b) { return a == b; }
#elif defined(__aarch64__)
using FloatMode = std::uint64_t;

inline FloatMode float_mode() {
    FloatMode mode;
    asm volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
inline void set_float_mode(FloatMode mode) { asm volatile("msr fpcr, %0" : : "r"(mode)); }
inline bool is_same(FloatMode a, FloatMode b) { return a == b; }
#else
using FloatMode = std::fenv_t;

inline FloatMode float_mode() {
    FloatMode mode;
    std::fegetenv(&mode);
    return mode;
}
inline void set_float_mode(const FloatMode& mode) { std::fesetenv(&mode); }
inline bool is_same(const FloatMode&, const FloatMode&) { return false; }
#endif

// Another thread's mode until the end of the scope.
class WithFloatMode {
public:
    explicit WithFloatMode(const FloatMode& mode) : own_(float_mode()), other_(!is_same(own_, mode)) {
        if (other_) set_float_mode(mode);
    }
    ~WithFloatMode() {
        if (other_) set_float_mode(own_);
    }
    WithFloatMode(const WithFloatMode&) = delete;
    WithFloatMode& operator=(const WithFloatMode&) = delete;

private:
    const FloatMode own_;
    const bool other_;
};

}  // namespace fastnorm
