// What bench/scaling.cpp measures: an operation on arrays in memory that it is given.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "fastnorm/operations.h"
#include "scaling_copy.h"

namespace fn = fastnorm;

constexpr double kTurn = 0.01;  // seconds of one turn of an operation, and of a copy

struct Arrays {
    fn::Tensor x, dy;
    fn::MutableTensor y, mean, rstd;
    fn::NormOptions options;
    fn::BackwardOptions backward;
    fn::GradientResults gradients;
};

struct Case {
    const char* name;
    fn::DType dtype;
    std::size_t arrays;              // that must be read or written at the least
    std::vector<std::size_t> shape;  // of one sample; one of its axes is that of the channels
    std::size_t channels;
    void (*call)(const Arrays&);
};

namespace calls {
inline void layer_norm(const Arrays& a) { fn::layer_norm(a.x, -1, a.options, {a.y}); }
inline void layer_norm_backward(const Arrays& a) {
    fn::layer_norm_backward(a.dy, a.x, a.mean, a.rstd, -1, a.backward, a.gradients);
}
inline void batch_norm(const Arrays& a) { fn::batch_norm_forward(a.x, 1, a.options, {}, {a.y, a.mean, a.rstd}); }
inline void batch_norm_backward(const Arrays& a) {
    fn::batch_norm_backward(a.dy, a.x, a.mean, a.rstd, 1, a.backward, a.gradients);
}
inline void group_norm(const Arrays& a) { fn::group_norm(a.x, 32, -1, a.options, {a.y}); }
}  // namespace calls

inline const std::vector<Case> kCases = {
    {"layer norm, rows of 768", fn::DType::f32, 2, {768}, 768, &calls::layer_norm},
    {"layer norm in bfloat16", fn::DType::bf16, 2, {768}, 768, &calls::layer_norm},
    {"layer norm's backward", fn::DType::f32, 3, {768}, 768, &calls::layer_norm_backward},
    {"batch norm training, Nx64x56x56", fn::DType::f32, 2, {64, 56, 56}, 64, &calls::batch_norm},
    {"batch norm's backward", fn::DType::f32, 3, {64, 56, 56}, 64, &calls::batch_norm_backward},
    {"group norm, Nx32x32x128 in 32", fn::DType::f32, 2, {32, 32, 128}, 128, &calls::group_norm},
};

// Signs and fractions at random, -2 to -1 and 1 to 2: so is every two bytes as bfloat16, and every four as float32.
inline void draw(char* memory, std::size_t bytes) {
    std::uint64_t state = 88172645463325252u;
    for (std::size_t i = 0; i + 8 <= bytes; i += 8) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        const std::uint64_t words = (state & 0x807F807F807F807Fu) | 0x3F803F803F803F80u;
        std::memcpy(memory + i, &words, 8);
    }
}

// A case in `memory`: the data, for a backward the gradient, then the result.
class Problem {
public:
    Problem(const Case& of, std::size_t wanted, char* memory) : case_(of), memory_(memory), shape_(of.shape) {
        std::size_t sample = of.dtype == fn::DType::bf16 ? 2 : 4;
        for (const std::size_t length : of.shape) sample *= length;
        const std::size_t samples = std::max<std::size_t>(1, (wanted + sample / 2) / sample), each = samples * sample;
        shape_.insert(shape_.begin(), samples);
        bytes_ = of.arrays * each;
        draw(memory, bytes_);

        const bool rows = shape_.size() == 2;
        groups_[0] = rows ? samples : of.channels;
        channels_[0] = of.channels;
        parameters_.assign(4 * of.channels, 1.0f);
        statistics_.assign(2 * groups_[0], 0.5);
        const auto parameter = [this](std::size_t i) {
            return fn::MutableTensor(parameters_.data() + i * channels_[0], channels_);
        };
        const auto statistic = [this, rows](std::size_t i) {
            return fn::MutableTensor(statistics_.data() + i * groups_[0], fn::DType::f64, rows ? 2 : 1, groups_);
        };
        arrays_.x = {memory, of.dtype, shape_.size(), shape_.data()};
        arrays_.dy = {memory + each, of.dtype, shape_.size(), shape_.data()};
        arrays_.y = {memory + bytes_ - each, of.dtype, shape_.size(), shape_.data()};
        arrays_.mean = statistic(0), arrays_.rstd = statistic(1);
        arrays_.options.weight = arrays_.backward.weight = parameter(0);
        arrays_.options.bias = parameter(1);
        arrays_.gradients = {arrays_.y, parameter(2), parameter(3)};
    }
    Problem(const Problem&) = delete;
    Problem& operator=(const Problem&) = delete;

    double bytes() const { return static_cast<double>(bytes_); }
    // The median of the calls of a turn.
    double time_call() const {
        std::vector<double> samples;
        for (const double end = now() + kTurn; samples.empty() || now() < end;) {
            const double start = now();
            case_.call(arrays_);
            samples.push_back(now() - start);
        }
        std::sort(samples.begin(), samples.end());
        return samples[samples.size() / 2];
    }
    // Of so many threads; `best` is what it took before.
    double time_copies(int threads, double best) const {
        const double about = std::min(best, bytes() / (5e9 * threads));
        const int count = std::max(1, static_cast<int>(kTurn / 2 / about));
        return std::min(time_copy(&copy_blocks, memory_, bytes_ / 128 * 64, threads, count),
                        time_copy(&copy_streaming, memory_, bytes_ / 128 * 64, threads, count));
    }

private:
    const Case& case_;
    char* const memory_;
    std::size_t bytes_ = 0, groups_[2] = {0, 1}, channels_[1] = {0};
    std::vector<std::size_t> shape_;
    std::vector<float> parameters_;
    std::vector<double> statistics_;
    Arrays arrays_;
};
