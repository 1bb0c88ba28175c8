#include "dispatch.h"

#include <atomic>
#include <cctype>
#include <cstdlib>
#include <stdexcept>

#include "kernels/targets.h"
#include "threads/once.h"

namespace fastnorm {
namespace {

const std::vector<Target>& targets() {
    static std::atomic<const std::vector<Target>*> list{nullptr};
    return *once(list, [] { return new std::vector<Target>(supported_targets()); });
}

std::string lower(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

const Target* find(const std::string& name) {
    for (const Target& target : targets()) {
        if (lower(name) == lower(target.name)) return &target;
    }
    return nullptr;
}

// An own pointer: Highway's is shared by every extension of the process. An unknown name in the environment is
// ignored here, since nothing may throw while a library loads; the Python package warns about it.
std::atomic<const Target*>& chosen() {
    static std::atomic<const Target*> target{nullptr};
    once(target, [] {
        const char* name = std::getenv("FASTNORM_SIMD_TARGET");
        const Target* wanted = name ? find(name) : nullptr;
        return wanted ? wanted : &targets().front();
    });
    return target;
}

}  // namespace

const KernelTable& kernels() { return *chosen().load(std::memory_order_relaxed)->kernels; }

std::vector<std::string> simd_targets() {
    std::vector<std::string> names;
    for (const Target& target : targets()) names.emplace_back(target.name);
    return names;
}

std::string simd_target() { return chosen().load()->name; }

void set_simd_target(const std::string& name) {
    const Target* target = find(name);
    if (!target) {
        std::string known;
        for (const Target& each : targets()) known += (known.empty() ? "" : ", ") + std::string(each.name);
        throw std::invalid_argument("SIMD target must be one of " + known + ", got " + name);
    }
    chosen().store(target);
}

}  // namespace fastnorm
