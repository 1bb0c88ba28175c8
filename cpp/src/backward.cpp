#include "call.h"
namespace fastnorm {
void backward(const Space&, Input, Input, const void*, Scale, bool, const double*, const double*, Gradients) {}
}
