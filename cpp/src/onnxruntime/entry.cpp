// What ONNX Runtime looks for in a library of custom operators. This file belongs to both the C++ library and the
// Python module: the module exports no symbol of the libraries that it is linked with.
#include "fastnorm/fastnorm.h"
#include "library.h"

using namespace fastnorm::onnxruntime;

extern "C" FASTNORM_API Status* RegisterCustomOps(SessionOptions* options, const ApiBase* base) {
    return register_operators(options, base, get_override());
}

// The same without the operators of the standard domain, for `RegisterCustomOpsUsingFunction`.
extern "C" FASTNORM_API Status* RegisterFastnormOps(SessionOptions* options, const ApiBase* base) {
    return register_operators(options, base, false);
}
