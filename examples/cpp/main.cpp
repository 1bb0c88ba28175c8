// An inference loop that owns its memory: every step normalizes rows in place, and images from one buffer to another,
// with as many threads as the caller says. What a call needs to know is laid out once. Prints the largest difference
// from a plain loop in double, and how much memory was asked for meanwhile.
#include <fastnorm/operations.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

namespace {
std::atomic<long> allocations{0};
}

void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

constexpr double kEps = 1e-5;

// Layer norm of rows.
class LayerNorm {
public:
    LayerNorm(std::size_t rows, std::size_t width, const float* weight, const float* bias)
        : shape_{rows, width}, channels_{width} {
        options_.weight = {weight, channels_};
        options_.bias = {bias, channels_};
        options_.eps = kEps;
    }
    LayerNorm(const LayerNorm&) = delete;
    LayerNorm& operator=(const LayerNorm&) = delete;

    void operator()(const float* x, float* y) const { fastnorm::layer_norm({x, shape_}, -1, options_, {{y, shape_}}); }

private:
    std::size_t shape_[2], channels_[1];
    fastnorm::NormOptions options_;
};

// Batch norm in evaluation mode of images whose channels lie last: the statistics are given.
class BatchNorm {
public:
    BatchNorm(std::size_t positions, std::vector<double> mean, std::vector<double> var, const float* weight,
              const float* bias)
        : shape_{positions, mean.size()}, channels_{mean.size()}, mean_(std::move(mean)), var_(std::move(var)) {
        options_.weight = {weight, channels_};
        options_.bias = {bias, channels_};
        options_.eps = kEps;
    }
    BatchNorm(const BatchNorm&) = delete;
    BatchNorm& operator=(const BatchNorm&) = delete;

    void operator()(const float* x, float* y) const {
        fastnorm::batch_norm({x, shape_}, {mean_.data(), channels_}, {var_.data(), channels_}, -1, options_,
                             {{y, shape_}});
    }

private:
    std::size_t shape_[2], channels_[1];
    std::vector<double> mean_, var_;
    fastnorm::NormOptions options_;
};

// A sensor, say: numbers that look random enough, around a mean that is far from zero.
void read(std::vector<float>& values, unsigned seed) {
    for (float& value : values) {
        seed = seed * 1664525u + 1013904223u;
        value = 10.0f + static_cast<float>(seed >> 8) / 16777216.0f;
    }
}

double error_of_rows(const std::vector<float>& x, const std::vector<float>& y, const std::vector<float>& weight,
                     const std::vector<float>& bias) {
    const std::size_t width = weight.size();
    double worst = 0;
    for (std::size_t first = 0; first < x.size(); first += width) {
        double mean = 0, square = 0;
        for (std::size_t i = 0; i < width; ++i) mean += x[first + i] / double(width);
        for (std::size_t i = 0; i < width; ++i) square += (x[first + i] - mean) * (x[first + i] - mean);
        const double rstd = 1 / std::sqrt(square / double(width) + kEps);
        for (std::size_t i = 0; i < width; ++i) {
            worst = std::max(worst, std::abs((x[first + i] - mean) * rstd * weight[i] + bias[i] - y[first + i]));
        }
    }
    return worst;
}

double error_of_images(const std::vector<float>& x, const std::vector<float>& y, double mean, double var,
                       const std::vector<float>& weight, const std::vector<float>& bias) {
    const std::size_t channels = weight.size();
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double exact = (x[i] - mean) / std::sqrt(var + kEps) * weight[i % channels] + bias[i % channels];
        worst = std::max(worst, std::abs(exact - y[i]));
    }
    return worst;
}

}  // namespace

int main(int argc, char** argv) {
    constexpr std::size_t rows = 64, width = 768, positions = 2 * 56 * 56, channels = 24;
    constexpr int steps = 20;
    fastnorm::set_local_num_threads(argc > 1 ? std::atoi(argv[1]) : 1);  // of calls by this thread, and no other

    constexpr double mean = 10.5, var = 0.08;
    std::vector<float> weight(width), bias(width), gamma(channels), beta(channels);
    for (auto* parameter : {&weight, &bias, &gamma, &beta}) read(*parameter, unsigned(parameter->size()));
    std::vector<float> tokens(rows * width), images(positions * channels);
    std::vector<float> tokens_before(tokens.size()), normalized(images.size());
    const LayerNorm layer_norm(rows, width, weight.data(), bias.data());
    const BatchNorm batch_norm(positions, std::vector<double>(channels, mean), std::vector<double>(channels, var),
                               gamma.data(), beta.data());

    double worst_row = 0, worst_image = 0;
    long during = 0;
    for (int step = 0; step < steps; ++step) {
        read(tokens, 3u + unsigned(step));
        read(images, 4u + unsigned(step));
        tokens_before = tokens;

        const long before = allocations;
        layer_norm(tokens.data(), tokens.data());
        batch_norm(images.data(), normalized.data());
        if (step > 0) during += allocations - before;  // the first step may start threads

        worst_row = std::max(worst_row, error_of_rows(tokens_before, tokens, weight, bias));
        worst_image = std::max(worst_image, error_of_images(images, normalized, mean, var, gamma, beta));
    }
    std::printf("threads %d\n", fastnorm::get_num_threads());
    std::printf("layer norm of %zu rows of %zu, in place: largest error %.1e\n", rows, width, worst_row);
    std::printf("batch norm of %zu positions of %zu channels: largest error %.1e\n", positions, channels, worst_image);
    std::printf("allocations in %d calls: %ld\n", 2 * (steps - 1), during);
    return worst_row < 1e-4 && worst_image < 1e-4 ? EXIT_SUCCESS : EXIT_FAILURE;
}
