// Layer norm of a buffer, forward and backward, and group norm of images, in a program that knows no Python. Prints
// what it computed, one named array a line, for the test to compare.
#include <fastnorm/fastnorm.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace {

template <class T>
void print(const char* name, const std::vector<T>& values) {
    std::printf("%s", name);
    for (const T value : values) std::printf(" %.17g", static_cast<double>(value));
    std::printf("\n");
}

// Numbers that look random enough, around a mean that is far from zero.
std::vector<float> numbers(std::size_t count, unsigned seed) {
    std::vector<float> values(count);
    for (float& value : values) {
        seed = seed * 1664525u + 1013904223u;
        value = 10.0f + static_cast<float>(seed >> 8) / 16777216.0f;
    }
    return values;
}

void layer_norm() {
    const std::size_t shape[] = {5, 37};  // statistics run along the second axis, weight and bias vary along it
    const std::uint8_t roles[] = {fastnorm::kept, fastnorm::reduced_param};
    const fastnorm::Space space{fastnorm::DType::f32, 2, shape, roles};
    const fastnorm::Scale scale{fastnorm::Statistic::variance, 1e-5};

    const auto x = numbers(5 * 37, 1), weight = numbers(37, 2), bias = numbers(37, 3), dy = numbers(5 * 37, 4);
    std::vector<float> y(x.size()), dx(x.size());
    std::vector<double> mean(5), rstd(5), dweight(37), dbias(37);

    fastnorm::Saved saved;
    saved.mean = mean.data();
    saved.rstd = rstd.data();
    fastnorm::forward(space, {x.data()}, {y.data()}, {weight.data(), bias.data()}, scale, saved);

    fastnorm::Gradients gradients;
    gradients.dx = {dx.data()};
    gradients.dweight = dweight.data();
    gradients.dbias = dbias.data();
    fastnorm::backward(space, {dy.data()}, {x.data()}, weight.data(), scale, true, mean.data(), rstd.data(), gradients);

    print("layer.x", x);
    print("layer.weight", weight);
    print("layer.bias", bias);
    print("layer.dy", dy);
    print("layer.y", y);
    print("layer.mean", mean);
    print("layer.rstd", rstd);
    print("layer.dx", dx);
    print("layer.dweight", dweight);
    print("layer.dbias", dbias);
}

void group_norm() {
    // 2 images of 6 channels in 3 groups, channel last: the buffer is (n, h, w, group, channel), and strides show it to
    // the library in the order (n, group, channel, h, w).
    const std::size_t shape[] = {2, 3, 2, 4, 5};
    const std::uint8_t roles[] = {fastnorm::kept, fastnorm::param, fastnorm::reduced_param, fastnorm::reduced,
                                  fastnorm::reduced};
    const fastnorm::Space space{fastnorm::DType::f32, 5, shape, roles};
    const std::ptrdiff_t size = sizeof(float);
    const std::ptrdiff_t strides[] = {120 * size, 2 * size, size, 30 * size, 6 * size};

    const auto x = numbers(2 * 4 * 5 * 6, 5);
    std::vector<float> y(x.size());
    fastnorm::forward(space, {x.data(), strides}, {y.data(), strides}, {}, {fastnorm::Statistic::variance, 1e-5});
    print("group.x", x);
    print("group.y", y);
}

}  // namespace

int main() {
    fastnorm::set_num_threads(2);
    layer_norm();
    group_norm();
    for (const auto& target : fastnorm::simd_targets()) std::fprintf(stderr, "target %s\n", target.c_str());
}
