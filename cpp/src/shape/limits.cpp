#include "shape/limits.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
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

// FASTNORM_STREAM_MB in bytes, if that is a number.
std::optional<std::size_t> given_stream_bytes() {
    const char* const text = std::getenv("FASTNORM_STREAM_MB");
    if (!text) return std::nullopt;
    char* end = nullptr;
    const unsigned long megabytes = std::strtoul(text, &end, 10);
    const bool fits = *text >= '0' && *text <= '9' && *end == '\0' && megabytes <= (1ul << 20);
    return fits ? std::optional<std::size_t>(megabytes << 20) : std::nullopt;
}

// From how many bytes on, of all arrays that a call goes through, outputs are written past the caches.
struct StreamLimits {
    std::size_t once, alone, forward, backward;
};

StreamLimits find_stream_limits() {
    constexpr std::size_t kUnknown = 8_MB, kOfSocket = 4_MB;
    const CacheSizes sizes = cache_sizes();
    const auto processors = static_cast<std::size_t>(std::max(1, thread_limits().affinity));
    const bool few_cores = !sizes.l3_of_socket && sizes.l3 > 0;
    // With second levels of 512 KB, half of it serves: what leaves them is more, and goes through it.
    const std::size_t l3 = few_cores && sizes.l2 < 1_MB ? sizes.l3 / 2 : sizes.l3;
    const std::size_t ours = few_cores ? l3 : std::min(l3, kOfSocket * processors);
    std::size_t output = sizes.l2 == 0 ? kUnknown : processors * sizes.l2 + ours / 2;
    const auto given = given_stream_bytes();
    if (given) output = std::max<std::size_t>(*given, 1);
    const std::size_t once = 2 * output;
    if (given || !few_cores) return {once, once, once, once};
    return {once, std::min(once, l3 / 8 * 7), sizes.l3 / 4 * 3, std::min(once, l3 / 8 * 5)};
}

// Leaked on purpose: threads may read them while the process ends.
const StreamLimits& stream_limits() {
    static std::atomic<const StreamLimits*> limits{nullptr};
    return *once(limits, [] { return static_cast<const StreamLimits*>(new StreamLimits(find_stream_limits())); });
}

}  // namespace

CacheSizes cache_sizes() { return find_caches(); }

std::size_t stream_bytes() { return stream_limits().once / 2; }

bool outgrows_caches(Traffic traffic, std::size_t bytes, int threads) {
    const StreamLimits& limits = stream_limits();
    if (traffic == Traffic::backward) return bytes >= limits.backward;
    const std::size_t once = threads > 1 ? limits.once : limits.alone;
    return bytes >= (traffic == Traffic::forward ? std::min(once, limits.forward) : once);
}

bool comes_from_afar(std::size_t bytes) { return 2 * bytes >= stream_limits().backward; }

}  // namespace fastnorm
