// Runs every operation on data of every type, on every SIMD target of the machine, and compares the bits of the results
// with those in a file, which hold for all machines:
//
//     fastnorm_bits expected.txt
//
// ends with 0 if all are equal. Without a file, on a machine that has targets of both kinds, it prints such a file: the
// hashes of targets with a fused multiply-add, and those of targets without, which round twice.
#include <cinttypes>
#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "problem.h"

namespace {

namespace fn = fastnorm;

const struct {
    const char* name;
    fn::DType dtype;
} kTypes[] = {{"float32", fn::DType::f32},
              {"float64", fn::DType::f64},
              {"float16", fn::DType::f16},
              {"bfloat16", fn::DType::bf16}};

bool has_fused(const std::string& target) { return target != "SSE4" && target != "BASELINE"; }

// Hashes by operation and data type, in the order of a file.
using Hashes = std::map<std::string, std::string>;

Hashes compute(const std::string& target) {
    fn::set_simd_target(target);
    Hashes hashes;
    std::vector<bits::Operation> operations = bits::norms();
    for (const bits::Operation& operation : bits::others()) operations.push_back(operation);
    for (const bits::Operation& operation : operations) {
        for (const auto& type : kTypes) {
            bits::Problem problem(type.dtype);
            operation.run(problem);
            char text[20];
            std::snprintf(text, sizeof text, "%016" PRIx64, problem.hash());
            hashes[std::string(operation.name) + " " + type.name] = text;
        }
    }
    return hashes;
}

Hashes read(std::FILE* file, bool fused) {
    std::rewind(file);
    Hashes hashes;
    char operation[64], type[16], first[20], second[20];
    while (std::fscanf(file, "%63s %15s %19s %19s", operation, type, first, second) == 4) {
        hashes[std::string(operation) + " " + type] = fused ? first : second;
    }
    return hashes;
}

int count_different(const Hashes& expected, const std::string& target) {
    const Hashes found = compute(target);
    int different = found.size() == expected.size() ? 0 : 1;
    for (const auto& [name, hash] : found) {
        const auto at = expected.find(name);
        const std::string wanted = at == expected.end() ? "nothing" : at->second;
        if (hash == wanted) continue;
        ++different;
        std::printf("%s: %s: expected %s, got %s\n", target.c_str(), name.c_str(), wanted.c_str(), hash.c_str());
    }
    std::printf("%s: %zu hashes, %d different\n", target.c_str(), found.size(), different);
    return different;
}

void print() {
    const std::vector<std::string> targets = fn::simd_targets();
    Hashes plain = compute(targets.back());
    for (const auto& [name, hash] : compute(targets.front())) {
        std::printf("%s %s %s\n", name.c_str(), hash.c_str(), plain[name].c_str());
    }
}

int compare(const char* path) {
    std::FILE* file = std::fopen(path, "r");
    if (!file) {
        std::printf("cannot read %s\n", path);
        return 2;
    }
    int different = 0;
    for (const std::string& target : fn::simd_targets()) {
        different += count_different(read(file, has_fused(target)), target);
    }
    std::fclose(file);
    return different != 0;
}

}  // namespace

int main(int count, char** arguments) {
    try {
        fn::set_num_threads(2);
        if (count > 1) return compare(arguments[1]);
        print();
        return 0;
    } catch (const std::exception& error) {
        std::printf("%s\n", error.what());
        return 2;
    }
}
