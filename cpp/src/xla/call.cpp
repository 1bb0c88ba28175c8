#include "call.h"

#include <string_view>

namespace fastnorm::xla {
namespace {

constexpr int kMetadata = 1;

// The dtype of a buffer of plain data.
DType dtype_of(DataType type) {
    switch (type) {
        case DataType::f16:
            return DType::f16;
        case DataType::bf16:
            return DType::bf16;
        case DataType::f32:
            return DType::f32;
        case DataType::f64:
            return DType::f64;
        default:
            return DType::other;
    }
}

// What a buffer holds, with its shape in `shape`.
DType read(const Buffers& buffers, std::size_t index, Shape& shape, void*& data) {
    if (index >= static_cast<std::size_t>(buffers.size)) throw std::logic_error("a handler of fastnorm lacks a buffer");
    const Buffer& buffer = *static_cast<const Buffer*>(buffers.buffers[index]);
    if (buffer.dtype == DataType::pred) return DType::none;
    data = buffer.data;
    shape.clear();
    const bool pairs = buffer.dtype == DataType::u32;
    const std::int64_t rank = buffer.rank - (pairs ? 1 : 0);
    if (rank >= static_cast<std::int64_t>(Shape::kMost)) {
        throw fastnorm::Error(fastnorm::Error::Kind::value,
                              "arrays must have at most 64 dimensions, got " + std::to_string(rank));
    }
    for (std::int64_t i = 0; i < rank; ++i) shape.push(static_cast<std::size_t>(buffer.sizes[i]));
    return pairs ? DType::f64 : dtype_of(buffer.dtype);
}

Error* error(const CallFrame* frame, ErrorCode code, const char* text) {
    ErrorArguments arguments{sizeof(ErrorArguments), nullptr, text, code};
    return frame->api->create_error(&arguments);
}

// A runtime whose major version is ours understands our structs: we take its minor version for ours. Those that ask
// without their table are of version 0.1.
void answer(const CallFrame* frame, Metadata& metadata) {
    metadata.version.major = kMajorVersion;
    metadata.version.minor = frame->api ? frame->api->version.minor : 1;
    metadata.traits = 0;
}

}  // namespace

Tensor Call::argument(std::size_t index) {
    Shape& shape = arguments_[index];
    void* data = nullptr;
    const DType dtype = read(frame_->arguments, index, shape, data);
    return dtype == DType::none ? Tensor() : Tensor(data, dtype, shape.size(), shape.data());
}

MutableTensor Call::result(std::size_t index) {
    Shape& shape = results_[index];
    void* data = nullptr;
    const DType dtype = read(frame_->results, index, shape, data);
    return dtype == DType::none ? MutableTensor() : MutableTensor(data, dtype, shape.size(), shape.data());
}

const void* Call::attribute(const char* name, AttributeType type) const {
    const Attributes& all = frame_->attributes;
    for (std::int64_t i = 0; i < all.size; ++i) {
        if (all.types[i] == type && std::string_view(all.names[i]->data, all.names[i]->size) == name) {
            return all.values[i];
        }
    }
    throw std::logic_error(std::string("a handler of fastnorm lacks the attribute ") + name);
}

std::int64_t Call::integer(const char* name) const {
    return *static_cast<const std::int64_t*>(static_cast<const Scalar*>(attribute(name, AttributeType::scalar))->value);
}

double Call::number(const char* name) const {
    return *static_cast<const double*>(static_cast<const Scalar*>(attribute(name, AttributeType::scalar))->value);
}

AxisList Call::axes() const {
    const Array& array = *static_cast<const Array*>(attribute("axis", AttributeType::array));
    AxisList result({});
    for (std::size_t i = 0; i < array.size; ++i) result.push(static_cast<const std::int64_t*>(array.data)[i]);
    return result;
}

Error* guarded(CallFrame* frame, void (*run)(Call& call)) {
    for (Extension* extension = frame->extensions; extension; extension = extension->next) {
        if (extension->type != kMetadata) continue;
        answer(frame, *reinterpret_cast<MetadataExtension*>(extension)->metadata);
        return nullptr;
    }
    if (frame->api->version.major != kMajorVersion) {
        const std::string text = "fastnorm needs version 0 of XLA's foreign function interface, got " +
                                 std::to_string(frame->api->version.major);
        return error(frame, ErrorCode::unimplemented, text.c_str());
    }
    try {
        Call call(frame);
        run(call);
        return nullptr;
    } catch (const fastnorm::Error& wrong) {
        return error(frame, ErrorCode::invalid_argument, wrong.what());
    } catch (const std::exception& failed) {
        return error(frame, ErrorCode::internal, failed.what());
    }
}

}  // namespace fastnorm::xla
