#include "shape/limits.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "fastnorm/fastnorm.h"
#include "threads/once.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace fastnorm {
namespace {

#if defined(__x86_64__) || defined(__i386__)

bool is_amd() {
    unsigned a = 0, name[3] = {};
    return __get_cpuid(0, &a, &name[0], &name[2], &name[1]) && std::memcmp(name, "AuthenticAMD", 12) == 0;
}

CacheSizes find_caches() {
    const bool amd = is_amd();
    const unsigned leaf = amd ? 0x8000001Du : 4u;
    CacheSizes sizes{0, 0, !amd};
    unsigned a, b, c, d;
    for (unsigned i = 0; i < 8 && __get_cpuid_count(leaf, i, &a, &b, &c, &d) && (a & 31u); ++i) {
        const std::size_t ways = (b >> 22) + 1, parts = ((b >> 12) & 0x3FFu) + 1, line = (b & 0xFFFu) + 1;
        const std::size_t bytes = ways * parts * line * (static_cast<std::size_t>(c) + 1);
        const unsigned level = (a >> 5) & 7u;
        if (level == 2) sizes.l2 = bytes;
        if (level == 3) sizes.l3 = bytes;
    }
    return sizes;
}

#elif defined(__APPLE__)

CacheSizes find_caches() {
    std::uint64_t l2 = 0;
    std::size_t size = sizeof(l2);
    if (sysctlbyname("hw.perflevel0.l2cachesize", &l2, &size, nullptr, 0) != 0) l2 = 0;
    return {static_cast<std::size_t>(l2), 0, true};
}

#else

// What Linux tells; nothing elsewhere.
CacheSizes find_caches() {
    CacheSizes sizes{0, 0, true};
    for (int i = 0; i < 8; ++i) {
        const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i);
        std::ifstream level_file(folder + "/level"), size_file(folder + "/size");
        int level = 0;
        std::size_t kilobytes = 0;
        if (!(level_file >> level) || !(size_file >> kilobytes)) break;
        if (level == 2) sizes.l2 = kilobytes << 10;
        if (level == 3) sizes.l3 = kilobytes << 10;
    }
    return sizes;
}

#endif

std::size_t find_stream_bytes() {
    if (const char* text = std::getenv("FASTNORM_STREAM_MB")) {
        char* end = nullptr;
        const unsigned long megabytes = std::strtoul(text, &end, 10);
        if (*text >= '0' && *text <= '9' && *end == '\0' && megabytes <= (1ul << 20)) return megabytes << 20;
    }
    constexpr std::size_t kUnknown = 8_MB, kOfSocket = 4_MB;
    const CacheSizes sizes = cache_sizes();
    if (sizes.l2 == 0) return kUnknown;
    if (!sizes.l3_of_socket && sizes.l3 > 0) return sizes.l3 / 16 * 7;
    const auto processors = static_cast<std::size_t>(std::max(1, thread_limits().affinity));
    return processors * sizes.l2 + std::min(sizes.l3, kOfSocket * processors) / 2;
}

}  // namespace

CacheSizes cache_sizes() { return find_caches(); }

std::size_t stream_bytes() {
    static std::atomic<std::size_t> bytes{0};
    once(bytes, [] { return std::max<std::size_t>(find_stream_bytes(), 1); });
    return bytes.load(std::memory_order_relaxed);
}

bool outgrows_second_level(std::size_t bytes) {
    static std::atomic<std::size_t> limit{0};
    once(limit, [] { return std::max(cache_sizes().l2, 1_MB); });
    return bytes > limit.load(std::memory_order_relaxed);
}

}  // namespace fastnorm
