// What ONNX Runtime looks for in a library of custom operators. This file belongs to both the C++ library and the
// Python module: the module exports no symbol of the libraries that it is linked with.
#include "fastnorm/fastnorm.h"
#include "library.h"

using namespace fastnorm::onnxruntime;

#if defined(_WIN32)
#define FASTNORM_ENTRY extern "C" __declspec(dllexport)
#else
#define FASTNORM_ENTRY extern "C" FASTNORM_API
#endif

FASTNORM_ENTRY Status* RegisterCustomOps(SessionOptions* options, const ApiBase* base) {
    return register_operators(options, base, get_override());
}

// The same without the operators of the standard domain, for `RegisterCustomOpsUsingFunction`.
FASTNORM_ENTRY Status* RegisterFastnormOps(SessionOptions* options, const ApiBase* base) {
    return register_operators(options, base, false);
}
