package server

import "net/http"

// A reply is the answer of every operation. The generated response types, one for each status and content type, would
// make the server decode what it has as bytes; the tests hold replies to the specification instead.

func (r reply) VisitCheckResponse(w http.ResponseWriter) error                { return r.write(w) }
func (r reply) VisitCreateKeyResponse(w http.ResponseWriter) error            { return r.write(w) }
func (r reply) VisitCreatePolicyResponse(w http.ResponseWriter) error         { return r.write(w) }
func (r reply) VisitCreateRegistrationResponse(w http.ResponseWriter) error   { return r.write(w) }
func (r reply) VisitCreateTerritoryPlanResponse(w http.ResponseWriter) error  { return r.write(w) }
func (r reply) VisitDeleteAccountResponse(w http.ResponseWriter) error        { return r.write(w) }
func (r reply) VisitDeleteOpportunityResponse(w http.ResponseWriter) error    { return r.write(w) }
func (r reply) VisitDeletePartnerResponse(w http.ResponseWriter) error        { return r.write(w) }
func (r reply) VisitDeletePersonResponse(w http.ResponseWriter) error         { return r.write(w) }
func (r reply) VisitDeleteProductResponse(w http.ResponseWriter) error        { return r.write(w) }
func (r reply) VisitDeleteRateResponse(w http.ResponseWriter) error           { return r.write(w) }
func (r reply) VisitExtendRegistrationResponse(w http.ResponseWriter) error   { return r.write(w) }
func (r reply) VisitGetAccountResponse(w http.ResponseWriter) error           { return r.write(w) }
func (r reply) VisitGetCaseResponse(w http.ResponseWriter) error              { return r.write(w) }
func (r reply) VisitGetCheckpointResponse(w http.ResponseWriter) error        { return r.write(w) }
func (r reply) VisitGetDecisionResponse(w http.ResponseWriter) error          { return r.write(w) }
func (r reply) VisitGetDocsAssetResponse(w http.ResponseWriter) error         { return r.write(w) }
func (r reply) VisitGetDocsResponse(w http.ResponseWriter) error              { return r.write(w) }
func (r reply) VisitGetHealthResponse(w http.ResponseWriter) error            { return r.write(w) }
func (r reply) VisitGetOpportunityResponse(w http.ResponseWriter) error       { return r.write(w) }
func (r reply) VisitGetPartnerResponse(w http.ResponseWriter) error           { return r.write(w) }
func (r reply) VisitGetPersonResponse(w http.ResponseWriter) error            { return r.write(w) }
func (r reply) VisitGetPolicyResponse(w http.ResponseWriter) error            { return r.write(w) }
func (r reply) VisitGetProductResponse(w http.ResponseWriter) error           { return r.write(w) }
func (r reply) VisitGetProofResponse(w http.ResponseWriter) error             { return r.write(w) }
func (r reply) VisitGetRateResponse(w http.ResponseWriter) error              { return r.write(w) }
func (r reply) VisitGetReadinessResponse(w http.ResponseWriter) error         { return r.write(w) }
func (r reply) VisitGetReceiptResponse(w http.ResponseWriter) error           { return r.write(w) }
func (r reply) VisitGetRegistrationResponse(w http.ResponseWriter) error      { return r.write(w) }
func (r reply) VisitGetSpecResponse(w http.ResponseWriter) error              { return r.write(w) }
func (r reply) VisitGetTerritoryPlanResponse(w http.ResponseWriter) error     { return r.write(w) }
func (r reply) VisitImportAccountsResponse(w http.ResponseWriter) error       { return r.write(w) }
func (r reply) VisitImportOpportunitiesResponse(w http.ResponseWriter) error  { return r.write(w) }
func (r reply) VisitImportPartnersResponse(w http.ResponseWriter) error       { return r.write(w) }
func (r reply) VisitImportPeopleResponse(w http.ResponseWriter) error         { return r.write(w) }
func (r reply) VisitImportProductsResponse(w http.ResponseWriter) error       { return r.write(w) }
func (r reply) VisitImportRatesResponse(w http.ResponseWriter) error          { return r.write(w) }
func (r reply) VisitListAccountsResponse(w http.ResponseWriter) error         { return r.write(w) }
func (r reply) VisitListCasesResponse(w http.ResponseWriter) error            { return r.write(w) }
func (r reply) VisitListEntriesResponse(w http.ResponseWriter) error          { return r.write(w) }
func (r reply) VisitListKeysResponse(w http.ResponseWriter) error             { return r.write(w) }
func (r reply) VisitListOpportunitiesResponse(w http.ResponseWriter) error    { return r.write(w) }
func (r reply) VisitListPartnersResponse(w http.ResponseWriter) error         { return r.write(w) }
func (r reply) VisitListPeopleResponse(w http.ResponseWriter) error           { return r.write(w) }
func (r reply) VisitListPoliciesResponse(w http.ResponseWriter) error         { return r.write(w) }
func (r reply) VisitListProductsResponse(w http.ResponseWriter) error         { return r.write(w) }
func (r reply) VisitListRatesResponse(w http.ResponseWriter) error            { return r.write(w) }
func (r reply) VisitListRegistrationsResponse(w http.ResponseWriter) error    { return r.write(w) }
func (r reply) VisitListTerritoryPlansResponse(w http.ResponseWriter) error   { return r.write(w) }
func (r reply) VisitLoseRegistrationResponse(w http.ResponseWriter) error     { return r.write(w) }
func (r reply) VisitPublishPolicyResponse(w http.ResponseWriter) error        { return r.write(w) }
func (r reply) VisitCancelPolicyResponse(w http.ResponseWriter) error         { return r.write(w) }
func (r reply) VisitCancelTerritoryPlanResponse(w http.ResponseWriter) error  { return r.write(w) }
func (r reply) VisitPublishTerritoryPlanResponse(w http.ResponseWriter) error { return r.write(w) }
func (r reply) VisitPutAccountResponse(w http.ResponseWriter) error           { return r.write(w) }
func (r reply) VisitPutOpportunityResponse(w http.ResponseWriter) error       { return r.write(w) }
func (r reply) VisitPutPartnerResponse(w http.ResponseWriter) error           { return r.write(w) }
func (r reply) VisitPutPersonResponse(w http.ResponseWriter) error            { return r.write(w) }
func (r reply) VisitPutProductResponse(w http.ResponseWriter) error           { return r.write(w) }
func (r reply) VisitPutRateResponse(w http.ResponseWriter) error              { return r.write(w) }
func (r reply) VisitRevokeKeyResponse(w http.ResponseWriter) error            { return r.write(w) }
func (r reply) VisitRevokeRegistrationResponse(w http.ResponseWriter) error   { return r.write(w) }
func (r reply) VisitWinRegistrationResponse(w http.ResponseWriter) error      { return r.write(w) }
func (r reply) VisitWithdrawRegistrationResponse(w http.ResponseWriter) error { return r.write(w) }
