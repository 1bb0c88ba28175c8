// The part of XLA's foreign function interface that handlers on the CPU need, so that building takes no foreign header.
//
// Layouts are those of `xla/ffi/api/c_api.h`, API version 0.x (Apache 2.0), https://github.com/openxla/xla. Structs
// only grow at the end, and tell their size, as long as the major version stays.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fastnorm::xla {

constexpr int kMajorVersion = 0;

enum class DataType : int {
    pred = 1,
    u32 = 8,
    f16 = 10,
    f32 = 11,
    f64 = 12,
    bf16 = 16,
    s64 = 5,
};
enum class AttributeType : int { array = 1, dictionary = 2, scalar = 3, string = 4 };
enum class ErrorCode : int { invalid_argument = 3, internal = 13, unimplemented = 12 };

struct Error;  // nullptr is success

struct Extension {
    std::size_t struct_size;
    int type;  // 1: metadata
    Extension* next;
};

struct ApiVersion {
    std::size_t struct_size;
    Extension* extensions;
    int major, minor;
};

struct ErrorArguments {
    std::size_t struct_size;
    Extension* extensions;
    const char* message;
    ErrorCode code;
};

struct Api {
    std::size_t struct_size;
    Extension* extensions;
    ApiVersion version;
    const void* internal;
    Error* (*create_error)(ErrorArguments*);
};

// What the runtime asks a handler for before it takes it.
struct Metadata {
    std::size_t struct_size;
    ApiVersion version;
    std::uint32_t traits;
};

struct MetadataExtension {
    Extension base;
    Metadata* metadata;
};

struct Buffer {
    std::size_t struct_size;
    Extension* extensions;
    DataType dtype;
    void* data;
    std::int64_t rank;
    std::int64_t* sizes;
};

struct Scalar {
    DataType dtype;
    void* value;
};

struct Array {
    DataType dtype;
    std::size_t size;
    void* data;
};

struct Bytes {
    const char* data;
    std::size_t size;
};

struct Buffers {
    std::size_t struct_size;
    Extension* extensions;
    std::int64_t size;
    int* types;  // 1: a buffer
    void** buffers;
};

struct Attributes {
    std::size_t struct_size;
    Extension* extensions;
    std::int64_t size;
    AttributeType* types;
    Bytes** names;
    void** values;
};

struct CallFrame {
    std::size_t struct_size;
    Extension* extensions;
    const Api* api;
    void* context;
    int stage;
    Buffers arguments, results;
    Attributes attributes;
};

using Handler = Error*(CallFrame*);

}  // namespace fastnorm::xla
