// Every size that was chosen for caches, and where it comes from. None of them changes a result: what fixes the order
// of sums (blocks of elements and rows) is in kernels/table.h.
#pragma once

#include <cstddef>

namespace fastnorm {

inline constexpr std::size_t operator""_KB(unsigned long long n) { return static_cast<std::size_t>(n) << 10; }
inline constexpr std::size_t operator""_MB(unsigned long long n) { return static_cast<std::size_t>(n) << 20; }

namespace limits {

// ---- of the first-level cache, 32 or 48 KB everywhere

// Neighbouring groups of one task: summed, then normalized while they are still there.
inline constexpr std::size_t kGroupTaskBytes = 32_KB;

// ---- of the second-level cache, of which 512 KB or more belong to a thread everywhere

// Groups of short runs share lines, so a task takes more of them.
inline constexpr std::size_t kRunTaskBytes = 256_KB;
// All rows of a tile of lanes are summed, finished and swept by one task if they take no more: one array, two arrays.
inline constexpr std::size_t kColumnForwardBytes = 256_KB;
inline constexpr std::size_t kColumnBackwardBytes = 512_KB;
// One task of small tiles: a group norm of 1633x2x21x16, channels last, its backward.
inline constexpr std::size_t kColumnTaskBytes = 16_KB;
// Rows whose parameter gradients are summed together.
inline constexpr std::size_t kRowBatchBytes = 192_KB;
// Masked data that are summed and then written.
inline constexpr std::size_t kMaskedPartBytes = 256_KB;
// One piece of an elementwise sweep.
inline constexpr std::size_t kSweepTaskBytes = 64_KB;

// ---- of waking a thread

// It costs some microseconds, in which a thread goes through about this much.
inline constexpr std::size_t kBytesPerThread = 128_KB;

}  // namespace limits

// The caches of this machine; 0 where they cannot be found out.
struct CacheSizes {
    std::size_t l2, l3;
    bool l3_of_socket;  // shared by all cores of a socket, not by a few
};
CacheSizes cache_sizes();

// Outputs of forward passes from this size on are written past the caches: nobody finds them there again, and a store
// that does not have to read its line first saves a third of the traffic. FASTNORM_STREAM_MB, or else the second-level
// caches of our processors and half of what is theirs of the third-level one: all of it where a few cores share it
// (AMD; half of it if their second levels are below 1 MB), 4 MB a processor where a whole socket does (Intel).
// Measured: 8 MB serve on an Intel Xeon with 2 MB and 266 MB, 16 to 20 MB on an AMD EPYC with 1 MB and 32 MB (Zen 4,
// Zen 5), 8 to 9 MB on one with 512 KB and 32 MB (Zen 3: layer norm of 12 MB takes 0.73 of the time, of 6 MB 1.35).
std::size_t stream_bytes();
// What a call does with its arrays: goes through them once; sums first and reads the input again; sums gradients.
enum class Traffic { once, forward, backward };
// Whether that is better written past the caches, `bytes` being those of all arrays. Where a few cores share the
// third-level cache, it also holds what other programs work on: a forward pass, which reads its input again, does well
// to leave it to that from 3/4 of it on (Zen 4 beside other work: layer norm of 12 MB takes 0.62 of the time), and a
// backward, whose arithmetic takes longer than writing, from 5/8 on (20000x96 on Zen 5: 330 to 283 us). One thread
// alone fills it with 7/8; the number of threads is asked for in forward passes only.
bool outgrows_caches(Traffic traffic, std::size_t bytes, int threads);
// Whether inputs of so many bytes in all have mostly left the caches, so that kernels that read several rows at once
// have to ask for them ahead: the processor finds no stream in that. From half of what streams backward. Backward of
// 20000x96 (15 MB) takes 0.56 to 0.65 of the time with it, of 6000x96 and 600x2048 1.07 and 1.15 (Zen 4).
bool comes_from_afar(std::size_t bytes);

}  // namespace fastnorm
