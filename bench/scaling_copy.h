// The limit that bench/scaling.cpp compares with: a copy by several threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <thread>
#include <vector>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

inline double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// In blocks, since the C library writes long copies past the caches.
inline void copy_blocks(char* to, const char* from, std::size_t bytes) {
    constexpr std::size_t kBlock = 256 << 10;
    for (std::size_t i = 0; i < bytes; i += kBlock) std::memcpy(to + i, from + i, std::min(kBlock, bytes - i));
}

// Past the caches.
inline void copy_streaming(char* to, const char* from, std::size_t bytes) {
#if defined(__SSE2__)
    for (std::size_t i = 0; i < bytes; i += sizeof(__m128i)) {
        const __m128i value = _mm_load_si128(reinterpret_cast<const __m128i*>(from + i));
        _mm_stream_si128(reinterpret_cast<__m128i*>(to + i), value);
    }
    _mm_sfence();
#else
    copy_blocks(to, from, bytes);
#endif
}

// Seconds of a copy of the first half of `memory` to the second. Each thread copies its part so many times before the
// others are waited for.
inline double time_copy(void (*copy)(char*, const char*, std::size_t), char* memory, std::size_t half, int threads,
                        int count) {
    const std::size_t part = half / static_cast<std::size_t>(threads) / 64 * 64;
    std::atomic<int> ready{0};
    std::atomic<bool> go{false};
    std::vector<std::thread> team;
    for (int t = 0; t < threads; ++t) {
        team.emplace_back([=, &ready, &go, from = memory + static_cast<std::size_t>(t) * part] {
            ++ready;
            while (!go) std::this_thread::yield();
            for (int i = 0; i < count; ++i) copy(from + half, from, part);
        });
    }
    while (ready < threads) std::this_thread::yield();
    const double start = now();
    go = true;
    for (std::thread& thread : team) thread.join();
    return (now() - start) / count;
}
