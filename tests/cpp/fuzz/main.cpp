// Without libFuzzer, for every compiler: calls of random bytes, or those of files.
//
//     fastnorm_fuzz SECONDS [FIRST]     each call is made from a number; that of one which fails is printed
//     fastnorm_fuzz 0 NUMBER            the call of that number
//     fastnorm_fuzz FILE...             as libFuzzer writes them
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "check.h"

namespace {

constexpr std::size_t kBytes = 256;  // enough for every call

fuzz::Outcome check_number(std::uint64_t number) {
    std::mt19937_64 random(number);
    std::vector<std::uint8_t> bytes(kBytes);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
    return fuzz::check(bytes.data(), bytes.size());
}

void check_for(double seconds, std::uint64_t* number) {
    const auto start = std::chrono::steady_clock::now();
    const std::uint64_t first = *number;
    std::size_t results = 0;
    do {
        results += check_number(*number) == fuzz::Outcome::result;
        ++*number;
    } while (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < seconds);
    std::printf("%zu calls, %zu of them with a result\n", static_cast<std::size_t>(*number - first), results);
}

// The calls are made by a child, which may die of them.
int check_in_child(double seconds, std::uint64_t first) {
    void* const shared =
        mmap(nullptr, sizeof(std::uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return 2;
    auto* const number = static_cast<std::uint64_t*>(shared);
    *number = first;
    const pid_t child = fork();
    if (child == 0) {
        check_for(seconds, number);
        std::exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return 2;
    if (status != 0) std::printf("the call of number %llu failed\n", static_cast<unsigned long long>(*number));
    return status != 0;
}

}  // namespace

int main(int count, char** arguments) {
    char* end = nullptr;
    const double seconds = count > 1 ? std::strtod(arguments[1], &end) : 60;
    if (count <= 1 || *end == '\0')
        return check_in_child(seconds, count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 0);
    for (int i = 1; i < count; ++i) {
        std::ifstream file(arguments[i], std::ios::binary);
        const std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
        fuzz::check(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    }
    return 0;
}
